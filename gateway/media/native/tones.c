/* Keys as sound: the eight frequencies of ITU-T Q.23, found by Goertzel's algorithm and made by sines. */
#include "core.h"

#include <math.h>

static const float FREQUENCIES[8] = {697, 770, 852, 941, 1209, 1336, 1477, 1633};
static const char KEYPAD[16] = "123A456B789C*0#D";

/* Mean square of the quietest tone taken for a key: 100 of 32,768, some -45 dBm0 (Q.24 asks for -25 to -29). */
static const float QUIETEST = 1e4f;
/* Share of the energy that the two tones must carry; speech spreads wider. */
static const float SHARE = 0.75f;
/* How much louder the low tone may be than the high one, and the other way round (Q.24: twist). */
static const float TWIST_LOW = 8, TWIST_HIGH = 4;
/* How far the tones must stand out of the others of their group: 20 ms resolve 50 Hz, neighbours are 73 Hz off. */
static const float STAND_OUT = 6;

void tone_start(ToneDetector *detector)
{
    *detector = (ToneDetector){.code = -1};
}

static int strongest(const float *power, int from)
{
    int best = from;
    for (int i = from + 1; i < from + 4; i++)
        if (power[i] > power[best])
            best = i;
    return best;
}

static int tone_of(const int16_t samples[FRAME])
{
    float power[8], coefficient[8], before[8] = {0}, last[8] = {0}, energy = 0;
    for (int k = 0; k < 8; k++)
        coefficient[k] = 2 * cosf(2 * (float)M_PI * FREQUENCIES[k] / 8000);
    for (int i = 0; i < FRAME; i++) {
        float sample = samples[i];
        energy += sample * sample;
        for (int k = 0; k < 8; k++) {
            float now = sample + coefficient[k] * last[k] - before[k];
            before[k] = last[k];
            last[k] = now;
        }
    }
    if (energy < FRAME * QUIETEST)
        return -1;
    for (int k = 0; k < 8; k++)
        power[k] = last[k] * last[k] + before[k] * before[k] - coefficient[k] * last[k] * before[k];
    int row = strongest(power, 0), column = strongest(power, 4);
    if (power[row] + power[column] < SHARE * energy * FRAME / 2)
        return -1;
    if (power[row] > TWIST_LOW * power[column] || power[column] > TWIST_HIGH * power[row])
        return -1;
    for (int k = 0; k < 8; k++)
        if (k != row && k != column && power[k] * STAND_OUT > power[k < 4 ? row : column])
            return -1;
    return row * 4 + column - 4;
}

char tone_detect(ToneDetector *detector, const int16_t samples[FRAME])
{
    int code = tone_of(samples);
    if (code < 0 || code != detector->code) {
        /* One bad block within a press is noise; a pause is at least two. */
        if (code >= 0 || ++detector->misses >= 2) {
            detector->reported = false;
            detector->misses = 0;
            detector->code = code;
            detector->hits = code >= 0;
        }
        return 0;
    }
    detector->misses = 0;
    if (++detector->hits < 2 || detector->reported)
        return 0;
    detector->reported = true;
    return KEYPAD[code];
}

void tone_make(int code, uint32_t from, uint8_t *pcmu, size_t samples)
{
    int at = 0;
    while (KEYPAD[at] != KEY_OF_CODE[code])
        at++;
    float low = FREQUENCIES[at / 4] * 2 * (float)M_PI / 8000, high = FREQUENCIES[4 + at % 4] * 2 * (float)M_PI / 8000;
    for (size_t i = 0; i < samples; i++) {
        float when = (float)(from + i);
        /* -9 dBm0 for the high tone and 2 dB less for the low one, as Q.23's networks expect of telephones. */
        pcmu[i] = g711_encode_pcmu((int)(6300 * sinf(low * when) + 7900 * sinf(high * when)));
    }
}
