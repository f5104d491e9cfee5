/* What coding and mixing cost in the engine by themselves, without sockets and threads: prints JSON.
 *
 *   coding LIBOPUS SPEECH
 *
 * SPEECH is samples of 16 bits at 8,000 Hz. Times are processor milliseconds for a second of one leg's sound. */
#include "../../gateway/media/native/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FRAMES = 500, FIRST_PORT = 62000 };

static int16_t *speech;
static int frames;

static const int16_t *frame_of(int number) { return speech + number % frames * FRAME; }

static double per_second(int64_t took, int count) { return (double)took / count * 50 / MILLISECOND; }

static void codecs(void)
{
    static const char *const NAMES[CODECS] = {"PCMU", "PCMA", "G722", "opus"};
    for (int number = 0; number < CODECS; number++) {
        const Codec *codec = codec_at(number);
        void *coder = codec->open ? codec->open() : NULL;
        static uint8_t payloads[FRAMES][FRAME_MAX];
        static size_t sizes[FRAMES];
        int16_t back[SOUND_MAX];
        int64_t began = worked_now();
        for (int i = 0; i < FRAMES; i++)
            sizes[i] = codec->encode(coder, frame_of(i), FRAME, payloads[i], FRAME_MAX);
        int64_t encoded = worked_now();
        for (int i = 0; i < FRAMES; i++)
            codec->decode(coder, payloads[i], sizes[i], back);
        printf("%s\"%s\": {\"encode\": %.4f, \"decode\": %.4f}", number ? ", " : "", NAMES[number],
               per_second(encoded - began, FRAMES), per_second(worked_now() - encoded, FRAMES));
        if (coder)
            codec->close(coder);
    }
}

/* One mix of so many, of whom the first ones speak: taking from the jitter buffers, mixing, and making each packet. */
static double mixing(int codec, int members, int speakers)
{
    Engine *engine = media_engine_new("127.0.0.1", members, 0, 1, 0);
    Leg *legs[MIX_MEMBERS];
    int port = FIRST_PORT;
    int64_t mix = media_mix_open(engine), took = 0;
    for (int i = 0; i < members; i++) {
        MediaRemote remote = {.address = "127.0.0.1", .port = 9, .rtcp_port = 10, .codec = codec, .telephone_event = -1,
                              .telephone_event_in = -1, .ptime_ms = 20, .send = 1, .receive = 1};
        int64_t id = -1;
        while (id < 0)
            id = media_leg_open(engine, port += 2);
        media_leg_set_remote(engine, id, &remote);
        media_mix_add(engine, mix, id);
        legs[i] = &engine->legs[id & 0xFFFF];
        /* Sending fails at once. */
        close(legs[i]->rtp_fd);
        legs[i]->rtp_fd = -1;
    }
    int16_t silence[FRAME] = {0};
    engine_hold(engine);
    for (int frame = 0; frame < FRAMES; frame++) {
        for (int i = 0; i < members; i++)
            listener_put(legs[i]->listener, (uint32_t)frame * FRAME,
                         i < speakers ? frame_of(frame + 37 * i) : silence, FRAME);
        int64_t began = worked_now(), due = monotonic_now() + frame * 20 * MILLISECOND;
        for (int slot = 0; slot < SLOTS; slot++, engine->slot++)
            mixes_run(engine);
        for (int i = 0; i < members; i++)
            leg_send_due(engine, legs[i], due);
        took += worked_now() - began;
    }
    engine_let_go(engine);
    media_engine_free(engine);
    return per_second(took, FRAMES * members);
}

int main(int count, char **arguments)
{
    static const int MIXES[][3] = {{CODEC_PCMU, 3, 3},  {CODEC_PCMU, 32, 32}, {CODEC_PCMU, 32, 2},
                                   {CODEC_OPUS, 3, 3},  {CODEC_OPUS, 32, 32}, {CODEC_OPUS, 32, 2}};
    FILE *file = count == 3 && !media_load_opus(arguments[1]) ? fopen(arguments[2], "rb") : NULL;
    speech = calloc(FRAMES * FRAME, sizeof *speech);
    if (!file || !speech || (frames = (int)(fread(speech, 2, FRAMES * FRAME, file) / FRAME)) < 1)
        return 1;
    g711_initialise();
    printf("{\"codecs\": {");
    codecs();
    printf("}, \"mixes\": [");
    for (size_t i = 0; i < sizeof MIXES / sizeof *MIXES; i++)
        printf("%s{\"codec\": \"%s\", \"members\": %d, \"speakers\": %d, \"cost\": %.4f}", i ? ", " : "",
               MIXES[i][0] == CODEC_OPUS ? "opus" : "PCMU", MIXES[i][1], MIXES[i][2],
               mixing(MIXES[i][0], MIXES[i][1], MIXES[i][2]));
    printf("]}\n");
    return 0;
}
