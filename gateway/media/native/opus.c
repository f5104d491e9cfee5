/* Opus (RFC 6716, RFC 7587) by libopus, which is loaded when the program runs: the engine is built without it. It encodes
 * and decodes at 8,000 Hz and in mono whatever the far end sends: nothing behind it hears more. */
#define _GNU_SOURCE
#include "codec.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* opus_defines.h, which is not there when the engine is built. */
enum {
    OPUS_APPLICATION_VOIP = 2048,
    OPUS_SIGNAL_VOICE = 3001,
    OPUS_SET_BITRATE = 4002,
    OPUS_SET_COMPLEXITY = 4010,
    OPUS_SET_INBAND_FEC = 4012,
    OPUS_SET_DTX = 4016,
    OPUS_SET_SIGNAL = 4024,
    OPUS_RESET_STATE = 4028,
};

enum {
    RATE = 8000,
    BITRATE = 20000,
    /* Of 10: beyond it speech at 8,000 Hz gains little that is heard, and costs twice as much and more. */
    COMPLEXITY = 1,
    SHORTEST = 20,  /* samples of 2.5 ms: every frame's duration is a multiple of it */
    TEN_MS = 80,
    FRAMES_MAX = SOUND_MAX / TEN_MS,
    FRAME_BYTES_MAX = 1275,
};

typedef struct {
    void *decoder;
    void *encoder;
} Opus;

static struct {
    void *(*decoder_create)(int32_t rate, int channels, int *problem);
    void (*decoder_destroy)(void *decoder);
    int (*decoder_ctl)(void *decoder, int request, ...);
    int (*decode)(void *decoder, const uint8_t *data, int32_t size, int16_t *samples, int count, int fec);
    void *(*encoder_create)(int32_t rate, int channels, int application, int *problem);
    void (*encoder_destroy)(void *encoder);
    int (*encoder_ctl)(void *encoder, int request, ...);
    int32_t (*encode)(void *encoder, const int16_t *samples, int count, uint8_t *data, int32_t room);
    bool loaded;
} lib;

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static bool find(void *library, const char *name, void *at)
{
    void *function = dlsym(library, name);
    memcpy(at, &function, sizeof function);
    return function;
}

int media_load_opus(const char *path)
{
    int problem = 0;
    pthread_mutex_lock(&loading);
    if (!lib.loaded) {
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        lib.loaded = library && find(library, "opus_decoder_create", &lib.decoder_create)
                     && find(library, "opus_decoder_destroy", &lib.decoder_destroy)
                     && find(library, "opus_decoder_ctl", &lib.decoder_ctl)
                     && find(library, "opus_decode", &lib.decode)
                     && find(library, "opus_encoder_create", &lib.encoder_create)
                     && find(library, "opus_encoder_destroy", &lib.encoder_destroy)
                     && find(library, "opus_encoder_ctl", &lib.encoder_ctl)
                     && find(library, "opus_encode", &lib.encode);
        if (!lib.loaded) {
            problem = -ENOENT;
            if (library)
                dlclose(library);
        }
    }
    pthread_mutex_unlock(&loading);
    return problem;
}

bool opus_loaded(void)
{
    pthread_mutex_lock(&loading);
    bool loaded = lib.loaded;
    pthread_mutex_unlock(&loading);
    return loaded;
}

/* RFC 6716 3.1: the first byte says how long a frame is, and with code 3 the second one how many there are. */
int opus_duration(const uint8_t *payload, size_t size)
{
    static const int SILK[4] = {80, 160, 320, 480};
    if (!size)
        return 0;
    int configuration = payload[0] >> 3, code = payload[0] & 3, frames = code == 0 ? 1 : 2, samples;
    if (configuration < 12)
        samples = SILK[configuration & 3];
    else if (configuration < 16)
        samples = SILK[configuration & 1];
    else
        samples = SHORTEST << (configuration & 3);
    if (code == 3)
        frames = size > 1 ? payload[1] & 63 : 0;
    return samples * frames <= SOUND_MAX ? samples * frames : 0;
}

void opus_close(void *coder)
{
    Opus *opus = coder;
    if (opus->decoder)
        lib.decoder_destroy(opus->decoder);
    if (opus->encoder)
        lib.encoder_destroy(opus->encoder);
    free(opus);
}

void *opus_open(void)
{
    Opus *opus = calloc(1, sizeof *opus);
    int problem;
    if (!opus)
        return NULL;
    opus->decoder = lib.decoder_create(RATE, 1, &problem);
    opus->encoder = lib.encoder_create(RATE, 1, OPUS_APPLICATION_VOIP, &problem);
    if (!opus->decoder || !opus->encoder) {
        opus_close(opus);
        return NULL;
    }
    lib.encoder_ctl(opus->encoder, OPUS_SET_BITRATE, (int32_t)BITRATE);
    lib.encoder_ctl(opus->encoder, OPUS_SET_COMPLEXITY, (int32_t)COMPLEXITY);
    lib.encoder_ctl(opus->encoder, OPUS_SET_SIGNAL, (int32_t)OPUS_SIGNAL_VOICE);
    /* No redundancy against loss: it takes its bits from the sound and costs another encoding, for losses that the far
     * end conceals. No pauses in silence: an even flow of packets keeps NATs open, and shows the far end that we are
     * there. */
    lib.encoder_ctl(opus->encoder, OPUS_SET_INBAND_FEC, (int32_t)0);
    lib.encoder_ctl(opus->encoder, OPUS_SET_DTX, (int32_t)0);
    return opus;
}

void opus_restart_decoder(void *coder) { lib.decoder_ctl(((Opus *)coder)->decoder, OPUS_RESET_STATE); }

void opus_restart_encoder(void *coder) { lib.encoder_ctl(((Opus *)coder)->encoder, OPUS_RESET_STATE); }

int opus_decode_payload(void *coder, const uint8_t *payload, size_t size, int16_t *samples)
{
    int count = lib.decode(((Opus *)coder)->decoder, payload, (int32_t)size, samples, SOUND_MAX, 0);
    return count > 0 ? count : 0;
}

int opus_conceal(void *coder, const uint8_t *next, size_t size, int16_t *samples, int count)
{
    /* If the next packet has the last lost frame within it (in-band FEC), that is used, and made up for otherwise. */
    count = lib.decode(((Opus *)coder)->decoder, next, (int32_t)size, samples, count - count % SHORTEST, 1);
    return count > 0 ? count : 0;
}

/* Durations that no frame has are frames of 10 ms in one packet (RFC 6716 3.2.5, with lengths of their own). */
static size_t encode_several(void *encoder, const int16_t *samples, int frames, uint8_t *payload, size_t room)
{
    uint8_t bytes[FRAMES_MAX][FRAME_BYTES_MAX];
    int32_t sizes[FRAMES_MAX];
    size_t used = 2;
    for (int i = 0; i < frames; i++) {
        sizes[i] = lib.encode(encoder, samples + i * TEN_MS, TEN_MS, bytes[i], FRAME_BYTES_MAX);
        /* Each is a packet of one frame, and of the same kind, or they cannot travel together. */
        if (sizes[i] < 1 || bytes[i][0] & 3 || bytes[i][0] != bytes[0][0])
            return 0;
        sizes[i]--;
        used += (size_t)sizes[i] + (i < frames - 1 ? sizes[i] < 252 ? 1 : 2 : 0);
    }
    if (used > room)
        return 0;
    *payload++ = bytes[0][0] | 3;
    *payload++ = (uint8_t)(0x80 | frames);
    for (int i = 0; i < frames - 1; i++) {
        int first = sizes[i] < 252 ? sizes[i] : 252 + (sizes[i] & 3);
        *payload++ = (uint8_t)first;
        if (first >= 252)
            *payload++ = (uint8_t)((sizes[i] - first) / 4);
    }
    for (int i = 0; i < frames; i++) {
        memcpy(payload, bytes[i] + 1, (size_t)sizes[i]);
        payload += sizes[i];
    }
    return used;
}

size_t opus_encode_payload(void *coder, const int16_t *samples, int count, uint8_t *payload, size_t room)
{
    void *encoder = ((Opus *)coder)->encoder;
    /* What is over a multiple of 2.5 ms, or of 10 ms beyond that, no packet can carry. */
    count -= count % (count < TEN_MS ? SHORTEST : TEN_MS);
    if (count == 3 * SHORTEST)
        count = 2 * SHORTEST;
    if (!count)
        return 0;
    int tens = count / TEN_MS;
    if (tens > 1 && tens % 2)
        return encode_several(encoder, samples, tens, payload, room);
    int32_t size = lib.encode(encoder, samples, count, payload, (int32_t)room);
    return size > 0 ? (size_t)size : 0;
}
