/* ITU-T G.722 at 64 kbit/s: sound at 16,000 Hz is split into two bands of 4 kHz, each coded as the difference from what
 * was predicted (6 bits for the low band, 2 for the high one). Numbers in comments are the recommendation's clauses. */
#include "codec.h"

#include <string.h>

/* 3.1, table 11: the first half of a symmetric filter. */
static const int QMF[12] = {3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876};

/* Table 14: between which differences, in units of the scale, the codes of the low band lie. */
static const int16_t DECISIONS[29] = {35,  72,  110,  150,  190,  233,  276,  323,  370,  422,
                                      473, 530, 587,  650,  714,  786,  858,  940,  1023, 1121,
                                      1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919};

/* Tables 16 and 17: what codes of 6, 4 and 2 bits stand for, in units of the scale. */
static const int16_t SIX_BITS[64] = {
    -136,   -136,   -136,   -136,   -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232,
    -9360,  -8576,  -7856,  -7192,  -6576,  -6000,  -5456,  -4944,  -4464,  -4008,  -3576,  -3168,  -2776,
    -2400,  -2032,  -1688,  -1360,  -1040,  -728,   24808,  21904,  19008,  16704,  14984,  13512,  12280,
    11192,  10232,  9360,   8576,   7856,   7192,   6576,   6000,   5456,   4944,   4464,   4008,   3576,
    3168,   2776,   2400,   2032,   1688,   1360,   1040,   728,    432,    136,    -432,   -136};
static const int16_t FOUR_BITS[16] = {0,     -20456, -12896, -8968, -6288, -4240, -2584, -1200,
                                      20456, 12896,  8968,   6288,  4240,  2584,  1200,  0};
static const int16_t TWO_BITS[4] = {-7408, -1616, 7408, 1616};

/* Tables 18 and 20: how the logarithm of the scale moves with each code. */
static const int16_t LOW_STEPS[16] = {-60,  3042, 1198, 538, 334, 172, 58,  -30,
                                      3042, 1198, 538,  334, 172, 58,  -30, -60};
static const int16_t HIGH_STEPS[4] = {798, -214, 798, -214};

/* Table 19: 2048 times 2 to the power of n/32. */
static const int16_t POWERS[32] = {2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543,
                                   2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025, 3091, 3158, 3228,
                                   3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008};

enum {
    LOW_SCALE = 32,
    HIGH_SCALE = 8,
    LOW_LOG_MAX = 18432,
    HIGH_LOG_MAX = 22528,
    LOW_EXPONENT = 8,
    HIGH_EXPONENT = 10,
    HIGH_DECISION = 564,
    SECOND_POLE_MAX = 12288,
    BOTH_POLES_MAX = 15360,
    BAND_MAX = 16383,
};

static int limit(int value, int least, int most) { return value < least ? least : value > most ? most : value; }

static int saturate(int value) { return limit(value, INT16_MIN, INT16_MAX); }

void g722_start(G722 *half)
{
    memset(half, 0, sizeof *half);
    half->low.scale = LOW_SCALE;
    half->high.scale = HIGH_SCALE;
}

/* 3.5, blocks 3L and 3H */
static void adapt_scale(G722Band *band, int step, int log_max, int exponent)
{
    band->scale_log = limit((band->scale_log * 127 >> 7) + step, 0, log_max);
    int power = POWERS[band->scale_log >> 6 & 31], shift = exponent - (band->scale_log >> 11);
    band->scale = (shift < 0 ? power << -shift : power >> shift) << 2;
}

/* 3.6, blocks 4L and 4H: the prediction moves towards having foreseen this difference. */
static void adapt_prediction(G722Band *band, int difference)
{
    int signal = saturate(band->signal + difference), partial = saturate(band->by_zeros + difference);
    bool negative = partial < 0, same[2] = {negative == (band->partial[0] < 0), negative == (band->partial[1] < 0)};

    int first = saturate(band->poles[0] * 4);
    int second = limit((same[0] ? -first : first), INT16_MIN, INT16_MAX) >> 7;
    second = limit(second + (same[1] ? 128 : -128) + (band->poles[1] * 32512 >> 15), -SECOND_POLE_MAX, SECOND_POLE_MAX);
    int most = BOTH_POLES_MAX - second;
    band->poles[0] = limit((same[0] ? 192 : -192) + (band->poles[0] * 32640 >> 15), -most, most);
    band->poles[1] = second;

    for (int i = 5; i >= 0; i--) {
        int step = !difference ? 0 : (band->differences[i] < 0) == (difference < 0) ? 128 : -128;
        band->zeros[i] = saturate(step + (band->zeros[i] * 32640 >> 15));
    }
    memmove(band->differences + 1, band->differences, 5 * sizeof *band->differences);
    band->differences[0] = difference;
    band->signals[1] = band->signals[0];
    band->signals[0] = signal;
    band->partial[1] = band->partial[0];
    band->partial[0] = partial;

    int by_poles = 0, by_zeros = 0;
    for (int i = 0; i < 2; i++)
        by_poles += band->poles[i] * saturate(band->signals[i] * 2) >> 15;
    for (int i = 0; i < 6; i++)
        by_zeros += band->zeros[i] * saturate(band->differences[i] * 2) >> 15;
    band->by_zeros = saturate(by_zeros);
    band->signal = saturate(saturate(by_poles) + band->by_zeros);
}

static void adapt_low(G722Band *band, int code)
{
    code >>= 2;
    int difference = band->scale * FOUR_BITS[code] >> 15;
    adapt_scale(band, LOW_STEPS[code], LOW_LOG_MAX, LOW_EXPONENT);
    adapt_prediction(band, difference);
}

static void adapt_high(G722Band *band, int code)
{
    int difference = band->scale * TWO_BITS[code] >> 15;
    adapt_scale(band, HIGH_STEPS[code], HIGH_LOG_MAX, HIGH_EXPONENT);
    adapt_prediction(band, difference);
}

static int encode_low(G722Band *band, int sample)
{
    int difference = saturate(sample - band->signal), magnitude = difference < 0 ? ~difference : difference, level = 0;
    while (level < 29 && magnitude >= DECISIONS[level] * band->scale >> 12)
        level++;
    /* Table 15: two negative codes lie apart from the rest, because an all-zero octet must not occur. */
    int code = difference >= 0 ? 61 - level : level < 2 ? 63 - level : 33 - level;
    adapt_low(band, code);
    return code;
}

static int encode_high(G722Band *band, int sample)
{
    int difference = saturate(sample - band->signal), magnitude = difference < 0 ? ~difference : difference;
    bool loud = magnitude >= HIGH_DECISION * band->scale >> 12;
    int code = difference < 0 ? !loud : 3 - loud;
    adapt_high(band, code);
    return code;
}

static int decode_low(G722Band *band, int code)
{
    int sample = limit(band->signal + (band->scale * SIX_BITS[code] >> 15), ~BAND_MAX, BAND_MAX);
    adapt_low(band, code);
    return sample;
}

static int decode_high(G722Band *band, int code)
{
    int sample = limit(band->signal + (band->scale * TWO_BITS[code] >> 15), ~BAND_MAX, BAND_MAX);
    adapt_high(band, code);
    return sample;
}

/* The two halves of the filter; their sum and difference are the bands, or the two samples of a pair. */
static void filter(int window[24], int first, int second, int *even, int *odd)
{
    memmove(window, window + 2, 22 * sizeof *window);
    window[22] = first;
    window[23] = second;
    *even = *odd = 0;
    for (int i = 0; i < 12; i++) {
        int at = 2 * i;
        *even += window[at] * QMF[at < 12 ? at : 23 - at];
        *odd += window[at + 1] * QMF[at + 1 < 12 ? at + 1 : 22 - at];
    }
}

void g722_encode(G722 *encoder, const int16_t *wide, size_t bytes, uint8_t *payload)
{
    for (size_t i = 0; i < bytes; i++) {
        int even, odd;
        filter(encoder->window, wide[2 * i], wide[2 * i + 1], &even, &odd);
        int low = encode_low(&encoder->low, (odd + even) >> 14);
        payload[i] = (uint8_t)(encode_high(&encoder->high, (odd - even) >> 14) << 6 | low);
    }
}

void g722_decode(G722 *decoder, const uint8_t *payload, size_t bytes, int16_t *wide)
{
    for (size_t i = 0; i < bytes; i++) {
        int low = decode_low(&decoder->low, payload[i] & 63), high = decode_high(&decoder->high, payload[i] >> 6);
        int even, odd;
        filter(decoder->window, low + high, low - high, &even, &odd);
        wide[2 * i] = (int16_t)saturate(odd >> 11);
        wide[2 * i + 1] = (int16_t)saturate(even >> 11);
    }
}
