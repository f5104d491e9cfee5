/* Codecs and mixing by themselves, in a time of our own and under the sanitizers. Run by test_native.py with the path of
 * libopus; exits with 1 and says where at the first failure. */
#include "../../../gateway/media/native/core.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                              \
        }                                                                         \
    } while (0)

enum { FIRST_PORT = 23000, PORTS_TRIED = 4000, LEGS = 40, ROOM = 480 };

/* The engine's clock, put in the real one's place by the linker. */
static int64_t now = SECOND;
int64_t __wrap_monotonic_now(void);
int64_t __wrap_monotonic_now(void) { return now; }

static const int PAYLOAD_TYPES[CODECS] = {0, 8, 9, 111};

static Leg *open_leg(Engine *engine, int codec, int ptime_ms)
{
    static int port = FIRST_PORT;
    int64_t id = -1;
    for (int tried = 0; id < 0 && tried < PORTS_TRIED; tried++) {
        id = media_leg_open(engine, port);
        port = port + 2 < FIRST_PORT + 2 * PORTS_TRIED ? port + 2 : FIRST_PORT;
    }
    CHECK(id >= 0);
    MediaRemote remote = {.address = "127.0.0.1", .port = 9, .rtcp_port = 10, .codec = codec,
                          .payload_type = PAYLOAD_TYPES[codec], .payload_type_in = PAYLOAD_TYPES[codec],
                          .telephone_event = 101, .telephone_event_in = 101, .ptime_ms = ptime_ms, .send = 1,
                          .receive = 1};
    CHECK(!media_leg_set_remote(engine, id, &remote));
    return &engine->legs[id & 0xFFFF];
}

static void change_codec(Engine *engine, Leg *leg, int codec)
{
    MediaRemote remote = leg->remote;
    remote.codec = codec;
    remote.payload_type = remote.payload_type_in = PAYLOAD_TYPES[codec];
    CHECK(!media_leg_set_remote(engine, leg->id, &remote));
}

static void arrive(Engine *engine, Leg *leg, uint16_t sequence, uint32_t timestamp, const uint8_t *payload, size_t size)
{
    uint8_t packet[PACKET_MAX] = {0x80, (uint8_t)leg->remote.payload_type_in};
    Address from;
    CHECK(address_parse("127.0.0.1", 9, &from));
    put16(packet + 2, sequence);
    put32(packet + 4, timestamp);
    put32(packet + 8, 77);
    memcpy(packet + RTP_HEADER, payload, size);
    leg_receive_rtp(engine, leg, packet, RTP_HEADER + size, &from, now, now);
}

static void sine(int16_t *samples, int from, int count, float frequency, float peak)
{
    for (int i = 0; i < count; i++)
        samples[i] = (int16_t)(peak * sinf(2 * (float)M_PI * frequency * (float)(from + i) / 8000));
}

/* Power at a frequency, as a share of all. */
static float share(const int16_t *samples, int count, float frequency)
{
    float real = 0, imaginary = 0, all = 0;
    for (int i = 0; i < count; i++) {
        float angle = 2 * (float)M_PI * frequency * (float)i / 8000;
        real += (float)samples[i] * cosf(angle);
        imaginary += (float)samples[i] * sinf(angle);
        all += (float)samples[i] * (float)samples[i];
    }
    return all > 0 ? 2 * (real * real + imaginary * imaginary) / (float)count / all : 0;
}

/* Codecs ---------------------------------------------------------------------------------------------------------- */

static void test_what_is_encoded_is_decoded(void)
{
    for (int number = 0; number < CODECS; number++) {
        const Codec *codec = codec_at(number);
        void *coder = codec->open ? codec->open() : NULL;
        /* 10 to 120 ms a packet, as a far end's bridged packets may be. */
        for (int count = 80; count <= SOUND_MAX; count += 80) {
            static int16_t sound[SOUND_MAX], back[40 * SOUND_MAX];
            uint8_t payload[PAYLOAD_MAX];
            for (int packet = 0; packet < 8; packet++) {
                sine(sound, packet * count, count, 440, 8000);
                size_t size = codec->encode(coder, sound, count, payload, sizeof payload);
                CHECK(size > 0);
                CHECK(codec->duration(payload, size) == count);
                CHECK(codec->decode(coder, payload, size, back + packet * count) == count);
            }
            CHECK(share(back + 3 * count, 5 * count, 440) > 0.95f);
        }
        if (coder)
            codec->close(coder);
    }
}

static void test_lengths_that_no_packet_has(void)
{
    for (int number = 0; number < CODECS; number++) {
        const Codec *codec = codec_at(number);
        void *coder = codec->open ? codec->open() : NULL;
        int16_t sound[SOUND_MAX] = {0};
        uint8_t payload[PAYLOAD_MAX];
        for (int count = 0; count <= SOUND_MAX; count++) {
            size_t size = codec->encode(coder, sound, count, payload, sizeof payload);
            CHECK(!size || codec->duration(payload, size) <= count);
            CHECK(size || count < 20);
            /* Too little room is an error, and nothing is written beyond it. */
            uint8_t *little = malloc(8);
            CHECK(codec->encode(coder, sound, count, little, 8) <= 8);
            free(little);
        }
        if (coder)
            codec->close(coder);
    }
}

static void test_any_bytes_at_all(void)
{
    srand(5);
    for (int number = 0; number < CODECS; number++) {
        const Codec *codec = codec_at(number);
        void *coder = codec->open ? codec->open() : NULL;
        int decoded = 0;
        for (int turn = 0; turn < 6000; turn++) {
            size_t size = (size_t)rand() % (turn % 10 ? 100 : PAYLOAD_MAX);
            uint8_t *payload = malloc(size ? size : 1);
            int16_t *samples = malloc(SOUND_MAX * sizeof *samples);
            for (size_t i = 0; i < size; i++)
                payload[i] = (uint8_t)rand();
            int count = codec->duration(payload, size);
            CHECK(count >= 0 && count <= SOUND_MAX);
            if (count && codec->conceal && turn % 3 == 0)
                CHECK(codec->conceal(coder, payload, size, samples, rand() % (SOUND_MAX + 1)) <= SOUND_MAX);
            if (count) {
                int made = codec->decode(coder, payload, size, samples);
                CHECK(made == 0 || made == count);
                decoded += made > 0;
            }
            free(payload);
            free(samples);
        }
        CHECK(decoded > 300);
        if (coder)
            codec->close(coder);
    }
}

static void test_clocks(void)
{
    CHECK(rescale(960, 6, 1) == 160 && rescale(160, 1, 6) == 960 && rescale(-1, 6, 1) == -1 && rescale(-6, 6, 1) == -1);
    for (int64_t units = INT32_MIN; units <= INT32_MAX; units += 12345) {
        CHECK(rescale((int32_t)units, 1, 1) == units);
        CHECK(rescale((int32_t)units, 6, 1) * 6LL <= units && rescale((int32_t)units, 6, 1) * 6LL > units - 6);
    }
    CHECK(key_segment(0, 6) == 0 && key_segment(57600, 6) == 0 && key_segment(57601, 6) == 57600);
    CHECK(key_segment(65535, 1) == 0 && key_segment(65536, 1) == 65535);
}

/* Bridging --------------------------------------------------------------------------------------------------------- */

/* Thirteen hours of a call whose clocks differ: the far end's timestamps go round twice and half. */
static void test_a_long_call_across_clocks(void)
{
    Engine *engine = media_engine_new("127.0.0.1", 4, 0, 1, 0);
    CHECK(engine);
    Leg *from = open_leg(engine, CODEC_OPUS, 20), *to = open_leg(engine, CODEC_PCMU, 20);
    CHECK(!media_leg_bridge(engine, from->id, to->id));
    const Codec *codec = codec_at(CODEC_OPUS);
    void *coder = codec->open();
    int16_t sound[FRAME] = {0};
    uint8_t payload[ROOM];
    size_t size = codec->encode(coder, sound, FRAME, payload, sizeof payload);
    uint32_t timestamp = 5, begun = 0;
    /* A packet a second, to be done with it. */
    for (uint32_t second = 0; second < 13 * 3600; second++) {
        arrive(engine, from, (uint16_t)second, timestamp, payload, size);
        if (!second)
            begun = to->out.sent_timestamp;
        CHECK(to->out.sent_timestamp - begun == second * 8000);
        timestamp += 48000;
        now += SECOND;
    }
    CHECK(to->statistics.packets_sent + to->statistics.send_errors == 13 * 3600);
    codec->close(coder);
    media_engine_free(engine);
}

/* A flood of sound costs no more than what is said in the time, and the call goes on after it. */
static void test_a_flood_of_sound(void)
{
    Engine *engine = media_engine_new("127.0.0.1", 4, 0, 1, 0);
    CHECK(engine);
    Leg *from = open_leg(engine, CODEC_OPUS, 20), *to = open_leg(engine, CODEC_PCMU, 20);
    CHECK(!media_leg_bridge(engine, from->id, to->id));
    void *coder = codec_at(CODEC_OPUS)->open();
    int16_t sound[FRAME] = {0};
    uint8_t payload[ROOM];
    size_t size = codec_at(CODEC_OPUS)->encode(coder, sound, FRAME, payload, sizeof payload);
    for (uint32_t i = 0; i < 10000; i++)
        arrive(engine, from, (uint16_t)i, i * 960, payload, size);
    int64_t passed = to->statistics.packets_sent + to->statistics.send_errors;
    CHECK(passed == 50 && from->statistics.ignored == 10000 - 50);
    for (uint32_t i = 10000; i < 10100; i++) {
        now += 20 * MILLISECOND;
        arrive(engine, from, (uint16_t)i, i * 960, payload, size);
        CHECK(to->statistics.packets_sent + to->statistics.send_errors == ++passed);
    }
    codec_at(CODEC_OPUS)->close(coder);
    media_engine_free(engine);
}

/* Whatever happens to two legs of any codecs, each goes on in one stream. */
static void test_one_stream_whatever_happens(void)
{
    static uint8_t clip[1000];
    const uint8_t *clips[] = {clip};
    size_t sizes[] = {sizeof clip};
    memset(clip, 1, sizeof clip);
    for (unsigned seed = 0; seed < 30; seed++) {
        srand(seed);
        Engine *engine = media_engine_new("127.0.0.1", 4, 15, 1, 0);
        CHECK(engine);
        static const int PTIMES[] = {10, 20, 30, 60};
        Leg *leg = open_leg(engine, rand() % CODECS, PTIMES[rand() % 4]), *other = open_leg(engine, rand() % CODECS, 20);
        void *coders[CODECS];
        for (int i = 0; i < CODECS; i++)
            coders[i] = codec_at(i)->open ? codec_at(i)->open() : NULL;
        int64_t mix = media_mix_open(engine);
        uint32_t timestamp = 1000, ssrc = leg->out.ssrc;
        uint16_t number = 1, before = leg->out.next_sequence;
        int64_t lost = 0;
        for (int turn = 0; turn < 400; turn++, now += 20 * MILLISECOND) {
            int skipped = rand() % 5;
            switch (rand() % 16) {
            case 0: media_leg_play(engine, leg->id, turn, clips, sizes, 1, rand() % 2); break;
            case 1: media_leg_stop_playing(engine, leg->id); break;
            case 2: media_leg_bridge(engine, leg->id, other->id); break;
            case 3: media_leg_unbridge(engine, leg->id); break;
            case 4: media_leg_send_keys(engine, leg->id, "5", 40 + rand() % 2000, 40); break;
            case 5: timestamp = (uint32_t)rand(); break;
            case 6: number = (uint16_t)(number + skipped), lost += skipped; break;
            case 7: media_mix_add(engine, mix, leg->id); break;
            case 8: media_mix_add(engine, mix, other->id); break;
            case 9: media_mix_remove(engine, mix, leg->id); break;
            case 10: change_codec(engine, rand() % 2 ? leg : other, rand() % CODECS); break;
            case 11: media_leg_listen(engine, other->id, rand() % 2); break;
            }
            int16_t sound[FRAME];
            uint8_t payload[ROOM];
            int codec = other->remote.codec;
            sine(sound, turn * FRAME, FRAME, 440, 8000);
            size_t size = codec_at(codec)->encode(coders[codec], sound, FRAME, payload, sizeof payload);
            if (rand() % 20 == 0) {
                payload[(size_t)rand() % size] = (uint8_t)rand();
                lost++;
            }
            timestamp += (uint32_t)(FRAME * codec_at(codec)->scale);
            arrive(engine, other, number++, timestamp, payload, size);
            engine_hold(engine);
            engine->slot++;
            mixes_run(engine);
            uint32_t sound_end = leg->out.next_timestamp;
            for (int tick = leg->tick; tick <= FRAME; tick += leg->tick)
                leg_send_due(engine, leg, now + 20 * MILLISECOND);
            leg_send_due(engine, other, now + 20 * MILLISECOND);
            engine_let_go(engine);
            CHECK((int32_t)(leg->out.next_timestamp - sound_end) >= 0);
            CHECK((int32_t)(leg->out.next_timestamp - sound_end) < 8 * 1000 * 6);
        }
        CHECK(leg->out.ssrc == ssrc);
        /* A number that is left out is a packet that the other side lost, or that was mangled. */
        int64_t sent = leg->statistics.packets_sent + leg->statistics.send_errors;
        CHECK((uint16_t)(leg->out.next_sequence - before) >= sent);
        CHECK((uint16_t)(leg->out.next_sequence - before) <= sent + lost);
        for (int i = 0; i < CODECS; i++)
            if (coders[i])
                codec_at(i)->close(coders[i]);
        media_engine_free(engine);
    }
}

/* Mixing ----------------------------------------------------------------------------------------------------------- */

static void put_sine(Leg *leg, uint32_t frame, float frequency)
{
    int16_t sound[FRAME];
    sine(sound, (int)frame * FRAME, FRAME, frequency, 9000);
    listener_put(leg->listener, frame * FRAME, sound, FRAME);
}

static void test_the_sum_without_ones_own(void)
{
    static const float TONES[3] = {500, 1000, 1500};
    static int16_t heard[3][50 * FRAME];
    Engine *engine = media_engine_new("127.0.0.1", 8, 15, 1, 0);
    CHECK(engine);
    int64_t mix = media_mix_open(engine);
    Leg *legs[3];
    for (int i = 0; i < 3; i++) {
        legs[i] = open_leg(engine, CODEC_PCMU, 20);
        CHECK(!media_mix_add(engine, mix, legs[i]->id));
    }
    for (uint32_t frame = 0; frame < 50; frame++) {
        for (int i = 0; i < 3; i++)
            put_sine(legs[i], frame, TONES[i]);
        engine_hold(engine);
        engine->slot += SLOTS;
        engine->slot -= engine->slot % SLOTS;
        for (int i = 0; i < SLOTS; i++, engine->slot++)
            mixes_run(engine);
        engine_let_go(engine);
        for (int i = 0; i < 3; i++)
            mix_take(legs[i], heard[i] + frame * FRAME);
    }
    for (int i = 0; i < 3; i++)
        for (int tone = 0; tone < 3; tone++) {
            float part = share(heard[i] + 10 * FRAME, 40 * FRAME, TONES[tone]);
            CHECK(i == tone ? part < 1e-6f : part > 0.45f && part < 0.55f);
        }
    media_engine_free(engine);
}

/* Legs come, go, change codec, close and are bridged, mixes end: nobody is heard after that, and nothing is left. */
static void test_coming_and_going(void)
{
    enum { MIXES = 4 };
    for (unsigned seed = 0; seed < 6; seed++) {
        srand(seed);
        Engine *engine = media_engine_new("127.0.0.1", LEGS, 15, 1, 0);
        CHECK(engine);
        int64_t mixes[MIXES], ids[LEGS];
        for (int i = 0; i < MIXES; i++)
            CHECK((mixes[i] = media_mix_open(engine)) >= 0);
        for (int i = 0; i < LEGS; i++)
            ids[i] = open_leg(engine, rand() % CODECS, 10 * (1 + rand() % 6))->id;
        for (int turn = 0; turn < 1000; turn++) {
            int one = rand() % LEGS, which = rand() % MIXES;
            switch (rand() % 10) {
            case 0:
                media_leg_close(engine, ids[one], NULL);
                ids[one] = open_leg(engine, rand() % CODECS, 20)->id;
                break;
            case 1:
                CHECK(!media_mix_close(engine, mixes[which]));
                CHECK(media_mix_close(engine, mixes[which]) < 0);
                CHECK((mixes[which] = media_mix_open(engine)) >= 0);
                break;
            case 2: media_leg_bridge(engine, ids[one], ids[rand() % LEGS]); break;
            case 3: media_mix_remove(engine, mixes[which], ids[one]); break;
            case 4: change_codec(engine, leg_of(engine, ids[one]), rand() % CODECS); break;
            case 5: media_leg_listen(engine, ids[one], rand() % 2); break;
            default: CHECK(media_mix_add(engine, mixes[which], ids[one]) <= 0); break;
            }
            engine_hold(engine);
            mixes_run(engine);
            engine->slot++;
            for (int i = 0; i < LEGS; i++) {
                Leg *leg = leg_of(engine, ids[i]);
                CHECK(!(leg->peer && leg->member));
                CHECK(!leg->member || leg->listener);
                if (leg->listener && rand() % 2)
                    put_sine(leg, (uint32_t)turn, 440);
                leg_send_due(engine, leg, now += MILLISECOND);
            }
            engine_let_go(engine);
            int members = 0, mixed = 0;
            for (int i = 0; i < LEGS; i++)
                members += leg_of(engine, ids[i])->member != NULL;
            for (int i = 0; i < engine->max_legs; i++)
                mixed += engine->mixes[i] ? engine->mixes[i]->count : 0;
            CHECK(members == mixed);
        }
        media_engine_free(engine);
    }
}

int main(int count, char **arguments)
{
    CHECK(!codec_at(CODEC_OPUS) && media_load_opus("/nowhere/libopus.so") < 0 && !codec_at(CODEC_OPUS));
    CHECK(count == 2 && !media_load_opus(arguments[1]));
    g711_initialise();
    test_what_is_encoded_is_decoded();
    test_lengths_that_no_packet_has();
    test_any_bytes_at_all();
    test_clocks();
    test_a_long_call_across_clocks();
    test_a_flood_of_sound();
    test_one_stream_whatever_happens();
    test_the_sum_without_ones_own();
    test_coming_and_going();
    puts("every codec did what it should");
    return 0;
}
