/* Between 8,000 and 16,000 Hz: a filter of 47 taps of which every other one is 0, flat to 3,400 Hz, with 50 dB taken
 * off whatever would be mirrored there. A Kaiser window (beta 6) on a sinc. */
#include "codec.h"

#include <string.h>

enum { PAIRS = HALFBAND / 2, WIDE_BEFORE = 2 * HALFBAND - 2, BEFORE = HALFBAND - 1, BITS = 15 };

/* From the middle outwards; twice their sum is 1. */
static const int16_t TAPS[PAIRS] = {20769, -6663, 3701, -2351, 1557, -1036, 676, -425, 253, -139, 67, -25};

static int16_t rounded(int64_t sum, int bits)
{
    sum = (sum + (1 << (bits - 1))) >> bits;
    return (int16_t)(sum < INT16_MIN ? INT16_MIN : sum > INT16_MAX ? INT16_MAX : sum);
}

void halfband_down(Halfband *filter, const int16_t *wide, int count, int16_t *samples)
{
    int16_t sound[WIDE_BEFORE + 2 * SOUND_MAX];
    memcpy(sound, filter->before, WIDE_BEFORE * sizeof *sound);
    memcpy(sound + WIDE_BEFORE, wide, 2 * (size_t)count * sizeof *sound);
    memcpy(filter->before, sound + 2 * count, WIDE_BEFORE * sizeof *sound);
    for (int i = 0; i < count; i++) {
        const int16_t *middle = sound + 2 * i + HALFBAND;
        int64_t sum = *middle * (INT64_C(1) << BITS);
        for (int pair = 0; pair < PAIRS; pair++)
            sum += (int64_t)TAPS[pair] * (middle[-1 - 2 * pair] + middle[1 + 2 * pair]);
        samples[i] = rounded(sum, BITS + 1);
    }
}

void halfband_up(Halfband *filter, const int16_t *samples, int count, int16_t *wide)
{
    int16_t sound[BEFORE + SOUND_MAX];
    memcpy(sound, filter->before, BEFORE * sizeof *sound);
    memcpy(sound + BEFORE, samples, (size_t)count * sizeof *sound);
    memcpy(filter->before, sound + count, BEFORE * sizeof *sound);
    for (int i = 0; i < count; i++) {
        const int16_t *left = sound + i + PAIRS - 1, *right = left + 1;
        int64_t sum = 0;
        for (int pair = 0; pair < PAIRS; pair++)
            sum += (int64_t)TAPS[pair] * (left[-pair] + right[pair]);
        wide[2 * i] = *left;
        wide[2 * i + 1] = rounded(sum, BITS);
    }
}
