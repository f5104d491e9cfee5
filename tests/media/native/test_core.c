/* The engine's parts by themselves, in a time of our own and under the sanitizers: what a network cannot be made to
 * do on purpose, thousands of times over. Run by test_native.py; exits with 1 and says where at the first failure. */
#include "../../../gateway/media/native/core.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                              \
        }                                                                         \
    } while (0)

enum { FIRST_PORT = 21000, PORTS_TRIED = 4000 };

/* A leg with a far end, or two bridged ones, whose sockets lead nowhere: time and packets come from the test. */
typedef struct {
    Engine *engine;
    Leg *one, *other;
    int64_t now;
} Call;

static Leg *open_leg(Engine *engine)
{
    static int port = FIRST_PORT;
    int64_t id = -1;
    for (int tried = 0; id < 0 && tried < PORTS_TRIED; tried++) {
        id = media_leg_open(engine, port);
        port = port + 2 < FIRST_PORT + 2 * PORTS_TRIED ? port + 2 : FIRST_PORT;
    }
    CHECK(id >= 0);
    return &engine->legs[id & 0xFFFF];
}

static MediaRemote remote_at(int port)
{
    MediaRemote remote = {.address = "127.0.0.1", .port = port, .rtcp_port = port + 1, .codec = CODEC_PCMU,
                          .telephone_event = 101, .telephone_event_in = 101, .ptime_ms = 20, .send = 1, .receive = 1};
    return remote;
}

static Call call_begin(void)
{
    Call call = {.engine = media_engine_new("127.0.0.1", 8, 15, 1, 0), .now = monotonic_now()};
    CHECK(call.engine);
    call.one = open_leg(call.engine);
    call.other = open_leg(call.engine);
    MediaRemote one = remote_at(9), other = remote_at(19);
    CHECK(!media_leg_set_remote(call.engine, call.one->id, &one));
    CHECK(!media_leg_set_remote(call.engine, call.other->id, &other));
    return call;
}

static void call_end(Call *call) { media_engine_free(call->engine); }

static size_t rtp(uint8_t *out, int payload_type, bool marker, uint16_t sequence, uint32_t timestamp, uint32_t ssrc,
                  const void *payload, size_t size)
{
    out[0] = 0x80;
    out[1] = (uint8_t)(payload_type | (marker ? 0x80 : 0));
    put16(out + 2, sequence);
    put32(out + 4, timestamp);
    put32(out + 8, ssrc);
    memcpy(out + RTP_HEADER, payload, size);
    return RTP_HEADER + size;
}

static void arrive(Call *call, Leg *leg, const uint8_t *data, size_t size, int from_port)
{
    Address from;
    CHECK(address_parse("127.0.0.1", from_port, &from));
    leg_receive_rtp(call->engine, leg, data, size, &from, call->now, call->now);
}

static void arrive_sound(Call *call, Leg *leg, uint16_t sequence, uint32_t timestamp, uint32_t ssrc, int from_port)
{
    uint8_t packet[RTP_HEADER + FRAME], sound[FRAME];
    memset(sound, 0x55, sizeof sound);
    arrive(call, leg, packet, rtp(packet, 0, false, sequence, timestamp, ssrc, sound, sizeof sound), from_port);
}

static int events_of(Call *call, uint32_t kind)
{
    const uint8_t *bytes;
    size_t size = media_engine_events(call->engine, &bytes);
    int count = 0;
    for (size_t at = 0; at < size;) {
        MediaEvent event;
        memcpy(&event, bytes + at, sizeof event);
        count += event.kind == kind;
        at += sizeof event + ((event.size + 7u) & ~7u);
    }
    return count;
}

/* Plays ----------------------------------------------------------------------------------------------------------- */

static void turns(Call *call, int packets)
{
    for (int i = 0; i < packets; i++) {
        call->now += 20 * MILLISECOND;
        call->one->waited = call->one->packet_samples;
        leg_send_due(call->engine, call->one, call->now);
    }
}

static int64_t sent(const Call *call)
{
    return call->one->statistics.packets_sent + call->one->statistics.send_errors;
}

static const uint8_t sound_of_a_second[8000] = {1};

static void play(Call *call, int64_t play_id, int seconds, int then)
{
    const uint8_t *clips[] = {sound_of_a_second, sound_of_a_second, sound_of_a_second};
    const size_t sizes[] = {8000, 8000, 8000};
    CHECK(!media_leg_play(call->engine, call->one->id, play_id, clips, sizes, seconds, then));
}

static int extend(Call *call, int64_t play_id, int seconds, int then)
{
    const uint8_t *clips[] = {sound_of_a_second, sound_of_a_second, sound_of_a_second};
    const size_t sizes[] = {8000, 8000, 8000};
    return media_leg_extend_play(call->engine, call->one->id, play_id, clips, sizes, seconds, then);
}

static void test_the_first_word_waits_for_the_far_end(void)
{
    /* Who is never heard hears it after 500 ms. */
    Call call = call_begin();
    CHECK(!media_leg_await(call.engine, call.one->id, 500));
    play(&call, 1, 1, THEN_END);
    turns(&call, 25);
    CHECK(call.one->play.heard == 0 && sent(&call) == 25);
    turns(&call, 1);
    CHECK(call.one->play.heard == 160);
    call_end(&call);

    /* Who is heard hears it with the next packet. */
    call = call_begin();
    CHECK(!media_leg_await(call.engine, call.one->id, 500));
    play(&call, 1, 1, THEN_END);
    turns(&call, 5);
    CHECK(call.one->play.heard == 0);
    arrive_sound(&call, call.one, 1, 0, 5, 9);
    turns(&call, 1);
    CHECK(call.one->play.heard == 160);
    /* And nothing waits again. */
    CHECK(!media_leg_await(call.engine, call.one->id, 500));
    turns(&call, 1);
    play(&call, 2, 1, THEN_END);
    turns(&call, 1);
    CHECK(call.one->play.heard == 160);
    call_end(&call);

    /* The time runs from when something can be sent, whether or not there is something to play. */
    call = call_begin();
    call.one->remote.send = 0;
    CHECK(!media_leg_await(call.engine, call.one->id, 500));
    turns(&call, 100);
    call.one->remote.send = 1;
    turns(&call, 20);
    play(&call, 1, 1, THEN_END);
    turns(&call, 5);
    CHECK(call.one->play.heard == 0);
    turns(&call, 1);
    CHECK(call.one->play.heard == 160);
    /* What plays is not held up. */
    CHECK(!media_leg_await(call.engine, call.one->id, 500));
    turns(&call, 1);
    CHECK(call.one->play.heard == 320);
    call_end(&call);
}

static void test_a_play_that_grows(void)
{
    Call call = call_begin();
    play(&call, 7, 1, THEN_WAIT);
    turns(&call, 10);
    CHECK(!extend(&call, 7, 2, THEN_WAIT));
    turns(&call, 90);
    CHECK(call.one->play.heard == 16000 && call.one->play.active);
    /* A late clip is silence, which is not heard of the play, and no end. */
    turns(&call, 50);
    CHECK(call.one->play.heard == 16000 && call.one->play.active);
    CHECK(sent(&call) == 150);
    CHECK(!events_of(&call, EVENT_PLAY_ENDED));
    CHECK(!extend(&call, 7, 3, THEN_END));
    CHECK(extend(&call, 7, 3, THEN_END) == -ESRCH);
    turns(&call, 50);
    CHECK(call.one->play.heard == 24000 && !call.one->play.active);
    CHECK(events_of(&call, EVENT_PLAY_ENDED) == 1);

    /* Nothing follows what was heard already; and it follows another play not at all. */
    play(&call, 8, 1, THEN_WAIT);
    turns(&call, 60);
    CHECK(extend(&call, 7, 2, THEN_END) == -ESRCH);
    CHECK(extend(&call, 8, 0, THEN_END) == -ESRCH);
    CHECK(!extend(&call, 8, 1, THEN_END));
    CHECK(!call.one->play.active && events_of(&call, EVENT_PLAY_ENDED) == 1);

    /* None at first. */
    play(&call, 9, 0, THEN_WAIT);
    turns(&call, 3);
    CHECK(call.one->play.active && call.one->play.heard == 0);
    CHECK(!extend(&call, 9, 0, THEN_END));
    CHECK(events_of(&call, EVENT_PLAY_ENDED) == 1);
    CHECK(!media_leg_stop_playing(call.engine, call.one->id));
    CHECK(extend(&call, 9, 1, THEN_END) == -ESRCH);
    CHECK(media_leg_extend_play(call.engine, 12345 << 16, 9, NULL, NULL, 0, THEN_END) == -ENOENT);
    call_end(&call);
}

/* Sequence numbers ------------------------------------------------------------------------------------------------ */

static void test_sequence_numbers_wrap(void)
{
    Reception reception = {0};
    reception_start(&reception, 1);
    for (uint32_t i = 0; i < 200000; i++)
        CHECK(reception_update(&reception, (uint16_t)(65000 + i)) == SEQUENCE_NEXT);
    CHECK(reception_lost(&reception) == 0);
    CHECK(reception.cycles == 4u << 16);
    CHECK(reception.received == 200000);
}

static void test_loss_duplicates_and_late_ones(void)
{
    Reception reception = {0};
    reception_start(&reception, 1);
    for (uint16_t i = 0; i < 100; i++)
        if (i != 10 && i != 20 && i != 21)
            CHECK(reception_update(&reception, (uint16_t)(65500 + i)) == SEQUENCE_NEXT);
    CHECK(reception_lost(&reception) == 3);
    CHECK(reception_update(&reception, (uint16_t)(65500 + 99)) == SEQUENCE_DUPLICATE);
    CHECK(reception_update(&reception, (uint16_t)(65500 + 50)) == SEQUENCE_DUPLICATE);
    CHECK(reception_update(&reception, (uint16_t)(65500 + 20)) == SEQUENCE_LATE || 99 - 20 >= 64);
    CHECK(reception_lost(&reception) == 2);
}

static void test_a_sender_that_starts_anew(void)
{
    Reception reception = {0};
    reception_start(&reception, 1);
    for (uint16_t i = 0; i < 10; i++)
        if (i != 5)
            reception_update(&reception, i);
    CHECK(reception_update(&reception, 30000) == SEQUENCE_DOUBTFUL);
    CHECK(reception_update(&reception, 10) == SEQUENCE_NEXT);
    CHECK(reception_update(&reception, 40000) == SEQUENCE_DOUBTFUL);
    CHECK(reception_update(&reception, 40001) == SEQUENCE_NEXT);
    CHECK(reception_lost(&reception) == 0);
    CHECK(reception.lost_before == 1);
}

static void test_jitter(void)
{
    Reception reception = {0};
    reception_start(&reception, 1);
    for (int64_t i = 0; i < 500; i++)
        reception_jitter(&reception, (uint32_t)(i * 160), i * 20 * MILLISECOND, 1);
    CHECK(reception.jitter == 0);
    /* Every other packet 10 ms late: 80 samples of difference each time. */
    for (int64_t i = 500; i < 1000; i++)
        reception_jitter(&reception, (uint32_t)(i * 160), (i * 20 + i % 2 * 10) * MILLISECOND, 1);
    CHECK(fabs(reception.jitter - 80) < 1);
}

/* The source ------------------------------------------------------------------------------------------------------ */

static void test_a_source_is_kept_until_it_is_silent(void)
{
    Call call = call_begin();
    Leg *leg = call.one;
    for (int i = 0; i < 10; i++, call.now += 20 * MILLISECOND)
        arrive_sound(&call, leg, (uint16_t)i, (uint32_t)i * 160, 1, 5000);
    CHECK(address_port(&leg->destination) == 5000);
    call.now += 2 * SECOND;
    arrive_sound(&call, leg, 77, 7, 2, 6000);
    CHECK(leg->statistics.ignored == 1 && address_port(&leg->destination) == 5000);
    call.now += 2 * SECOND;
    arrive_sound(&call, leg, 77, 7, 2, 6000);
    CHECK(leg->statistics.ignored == 1 && address_port(&leg->destination) == 6000);
    CHECK(events_of(&call, EVENT_MEDIA_STARTED) == 1);
    call_end(&call);
}

static void test_moved_by_signalling(void)
{
    Call call = call_begin();
    Leg *leg = call.one;
    call.now = monotonic_now();
    arrive_sound(&call, leg, 1, 160, 1, 5000);
    MediaRemote remote = remote_at(7000);
    CHECK(!media_leg_set_remote(call.engine, leg->id, &remote));
    arrive_sound(&call, leg, 2, 320, 1, 5000);
    CHECK(leg->statistics.ignored == 1 && address_port(&leg->destination) == 7000);
    arrive_sound(&call, leg, 2, 320, 3, 7002);
    CHECK(address_port(&leg->destination) == 7002);
    call_end(&call);
}

static void test_two_sources_by_turns_from_one_place(void)
{
    Call call = call_begin();
    Leg *leg = call.one;
    for (int i = 0; i < 100; i++, call.now += 20 * MILLISECOND)
        arrive_sound(&call, leg, (uint16_t)i, (uint32_t)i * 160, i < 50 || i % 2 ? 1u : 2u, 5000);
    CHECK(leg->reception.ssrc == 1 || leg->reception.ssrc == 2);
    CHECK(leg->statistics.packets_received + leg->statistics.ignored == 100);
    call_end(&call);
}

/* Keys ------------------------------------------------------------------------------------------------------------ */

static char press(KeysIn *keys, int code, uint32_t timestamp, uint16_t duration, bool marker)
{
    uint8_t payload[4] = {(uint8_t)code, 10, (uint8_t)(duration >> 8), (uint8_t)duration};
    RtpPacket packet = {.marker = marker, .timestamp = timestamp, .payload = payload, .size = sizeof payload};
    return keys_in_packet(keys, &packet, 1);
}

static void test_each_press_once(void)
{
    for (unsigned seed = 0; seed < 2000; seed++) {
        srand(seed);
        KeysIn keys = {0};
        uint32_t timestamp = (uint32_t)rand() * 3u;
        for (int pressed = 0; pressed < 20; pressed++) {
            int code = rand() % 16, reported = 0, sent = 0;
            for (int packet = 0; packet < 8; packet++) {
                if (rand() % 100 < 30)
                    continue;
                sent++;
                uint16_t duration = (uint16_t)(160 * (packet < 6 ? packet + 1 : 6));
                for (int copies = rand() % 3 ? 1 : 2; copies; copies--)
                    reported += press(&keys, code, timestamp, duration, packet == 0) == KEY_OF_CODE[code];
                /* A straggler of the press before. */
                if (pressed && !(rand() % 10))
                    CHECK(!press(&keys, rand() % 16, timestamp - 2000, 900, false));
            }
            CHECK(reported == (sent > 0));
            timestamp += 2000;
        }
    }
}

static void test_keys_out_then_in(void)
{
    for (int code = 0; code < 16; code++)
        CHECK(key_code(KEY_OF_CODE[code]) == code);
    CHECK(key_code('x') < 0 && key_code(0) < 0);
}

/* Tones ----------------------------------------------------------------------------------------------------------- */

static void decode(const uint8_t *pcmu, int16_t *out)
{
    for (int i = 0; i < FRAME; i++)
        out[i] = g711_decoded[CODEC_PCMU][pcmu[i]];
}

static void test_tones_that_are_made_are_detected(void)
{
    g711_initialise();
    for (int code = 0; code < 16; code++) {
        ToneDetector detector;
        tone_start(&detector);
        int reported = 0;
        for (uint32_t frame = 0; frame < 20; frame++) {
            uint8_t pcmu[FRAME];
            int16_t samples[FRAME];
            tone_make(code, frame * FRAME, pcmu, FRAME);
            decode(pcmu, samples);
            char key = tone_detect(&detector, samples);
            CHECK(!key || key == KEY_OF_CODE[code]);
            reported += key != 0;
        }
        CHECK(reported == 1);
    }
}

static void test_noise_is_no_key(void)
{
    ToneDetector detector;
    tone_start(&detector);
    srand(1);
    for (int frame = 0; frame < 50000; frame++) {
        int16_t samples[FRAME];
        for (int i = 0; i < FRAME; i++)
            samples[i] = (int16_t)(rand() % 20000 - 10000);
        CHECK(!tone_detect(&detector, samples));
    }
}

/* The jitter buffer ----------------------------------------------------------------------------------------------- */

static void put_frame(Listener *listener, int64_t frame, uint32_t start)
{
    int16_t sound[FRAME];
    for (int i = 0; i < FRAME; i++)
        sound[i] = g711_decoded[CODEC_PCMU][0x80 | (frame & 0x3F)];
    listener_put(listener, start + (uint32_t)(frame * FRAME), sound, FRAME);
}

/* Packets every 20 ms, each delayed by chance; the output is taken every 20 ms. How many frames came out wrong. */
static int run_jitter(Listener *listener, int64_t from, int64_t frames, int delay_ms, uint32_t start)
{
    int64_t *arrivals = malloc((size_t)frames * sizeof *arrivals), next = 0;
    for (int64_t i = 0; i < frames; i++)
        arrivals[i] = i * 20 + (delay_ms ? rand() % delay_ms : 0);
    int concealed = 0;
    int16_t out[FRAME], expected = -1;
    for (int64_t ms = 0; ms < frames * 20; ms++) {
        for (int64_t i = next > 20 ? next - 20 : 0; i < frames && i <= ms / 20; i++)
            if (arrivals[i] == ms)
                put_frame(listener, from + i, start);
        next = ms / 20;
        if (ms % 20 != 19 || !listener->running)
            continue;
        uint32_t turn = listener->play;
        listener_take(listener, out, FRAME);
        int64_t frame = (int64_t)((turn - start) / FRAME);
        expected = g711_decoded[CODEC_PCMU][0x80 | (frame & 0x3F)];
        concealed += out[0] != expected;
    }
    free(arrivals);
    return concealed;
}

static void test_an_even_stream_comes_out_as_it_went_in(void)
{
    Listener *listener = calloc(1, sizeof *listener);
    listener_reset(listener);
    /* The buffer's depth at the beginning, and nothing else. */
    CHECK(run_jitter(listener, 0, 5000, 0, 0xFFFFF000u) <= 3);
    CHECK(listener->depth <= DEPTH_START);
    free(listener);
}

static void test_the_depth_follows_the_jitter(void)
{
    Listener *listener = calloc(1, sizeof *listener);
    listener_reset(listener);
    srand(7);
    run_jitter(listener, 0, 500, 120, 1000);
    int deep = listener->depth;
    CHECK(deep >= 80 * SAMPLES_PER_MS && deep <= DEPTH_MAX);
    CHECK(run_jitter(listener, 500, 1500, 120, 1000) <= 15);
    free(listener);
}

static void test_the_depth_shrinks_again_in_the_quiet(void)
{
    Listener *listener = calloc(1, sizeof *listener);
    listener_reset(listener);
    int16_t quiet[FRAME] = {0}, out[FRAME];
    listener->depth = DEPTH_MAX;
    for (uint32_t i = 0; i < 20000; i++) {
        listener_put(listener, i * FRAME, quiet, FRAME);
        listener_take(listener, out, FRAME);
    }
    CHECK(listener->depth <= DEPTH_START);
    CHECK(listener->depth >= DEPTH_MIN);
    free(listener);
}

static void test_any_timestamps_at_all(void)
{
    Listener *listener = calloc(1, sizeof *listener);
    listener_reset(listener);
    srand(3);
    int16_t sound[SOUND_MAX], out[FRAME];
    memset(sound, 0x80, sizeof sound);
    uint32_t timestamp = 0;
    for (int i = 0; i < 200000; i++) {
        timestamp += rand() % 10 ? (uint32_t)(rand() % 2000 - 800) : (uint32_t)rand() * 2u;
        listener_put(listener, timestamp, sound, rand() % SOUND_MAX);
        listener_take(listener, out, rand() % 2 ? FRAME : FRAME / 2);
        CHECK(listener->depth >= DEPTH_MIN && listener->depth <= DEPTH_MAX);
    }
    free(listener);
}

/* The stream that goes out ---------------------------------------------------------------------------------------- */

static void test_one_stream_whatever_happens(void)
{
    uint8_t clip[1000];
    memset(clip, 1, sizeof clip);
    const uint8_t *clips[] = {clip};
    size_t sizes[] = {sizeof clip};
    for (unsigned seed = 0; seed < 200; seed++) {
        srand(seed);
        Call call = call_begin();
        Leg *leg = call.one, *other = call.other;
        uint32_t ssrc = leg->out.ssrc, timestamp = 1000;
        uint16_t number = 1, before = leg->out.next_sequence;
        int64_t packets = 0;
        for (int turn = 0; turn < 500; turn++, call.now += 20 * MILLISECOND) {
            switch (rand() % 12) {
            case 0: media_leg_play(call.engine, leg->id, turn, clips, sizes, 1, rand() % 2); break;
            case 1: media_leg_stop_playing(call.engine, leg->id); break;
            case 2: media_leg_bridge(call.engine, leg->id, other->id); break;
            case 3: media_leg_unbridge(call.engine, leg->id); break;
            case 4: media_leg_send_keys(call.engine, leg->id, "5", 40 + rand() % 200, 40); break;
            case 5: timestamp = (uint32_t)rand(); break;
            case 6: number = (uint16_t)(number + 1000 + rand() % 60000); break;
            }
            int64_t offset = (int64_t)(rand() % 20) * MILLISECOND;
            call.now += offset;
            arrive_sound(&call, other, number++, timestamp += FRAME, 9, 5000);
            call.now -= offset;
            uint32_t sound_end = leg->out.next_timestamp;
            leg_send_due(call.engine, leg, call.now + 20 * MILLISECOND);
            CHECK((int32_t)(leg->out.next_timestamp - sound_end) >= 0);
            CHECK((int32_t)(leg->out.next_timestamp - sound_end) < 8 * 1000);
        }
        packets = leg->statistics.packets_sent + leg->statistics.send_errors;
        CHECK(leg->out.ssrc == ssrc);
        CHECK((uint16_t)(before + packets) == leg->out.next_sequence);
        call_end(&call);
    }
}

/* Longer than sequence numbers need to go round, which takes 22 minutes. */
static void test_a_long_bridged_call(void)
{
    enum { PACKETS = 100000 };
    Call call = call_begin();
    CHECK(!media_leg_bridge(call.engine, call.one->id, call.other->id));
    for (uint32_t i = 0; i < PACKETS; i++, call.now += 20 * MILLISECOND) {
        int64_t before = call.other->statistics.packets_sent + call.other->statistics.send_errors;
        arrive_sound(&call, call.one, (uint16_t)i, i * FRAME, 1, 9);
        CHECK(call.other->statistics.packets_sent + call.other->statistics.send_errors == before + 1);
    }
    call_end(&call);
}

static void test_a_timestamp_half_the_way_round(void)
{
    Listener *listener = calloc(1, sizeof *listener);
    int16_t sound[FRAME] = {0};
    CHECK(listener);
    listener_reset(listener);
    listener_put(listener, 1000, sound, FRAME);
    /* As far ahead as a timestamp can be: beyond that it lies behind. */
    listener_put(listener, listener->play + INT32_MAX, sound, FRAME);
    CHECK(listener->depth <= DEPTH_MAX);
    free(listener);
}

/* Commands -------------------------------------------------------------------------------------------------------- */

/* The engine's clock, put in the real one's place by the linker: it stands still, or goes on by as much each time that
 * somebody looks at it. */
int64_t __real_monotonic_now(void);
int64_t __wrap_monotonic_now(void);

static int64_t own_time;
static int64_t own_time_step;

int64_t __wrap_monotonic_now(void) { return own_time ? own_time += own_time_step : __real_monotonic_now(); }

enum { MANY_LEGS = 80, FLOOD = 64 };

/* A leg's turn, or eight packets, take longer here than they ever do. */
#define STEP (HOLD / 5)

typedef struct {
    Engine *engine;
    Inbox *inbox;
    struct epoll_event ready[MANY_LEGS];
} Round;

/* So many legs, each with a far end that is not there, and with packets waiting for it. */
static Round round_begin(int packets)
{
    Round round = {.engine = media_engine_new("127.0.0.1", MANY_LEGS, 15, 1, 0), .inbox = inbox_new()};
    CHECK(round.engine && round.inbox);
    int from = socket(AF_INET, SOCK_DGRAM, 0);
    uint8_t packet[RTP_HEADER + FRAME] = {0x80};
    MediaRemote remote = remote_at(9);
    for (int i = 0; i < MANY_LEGS; i++) {
        Leg *leg = open_leg(round.engine);
        CHECK(!media_leg_set_remote(round.engine, leg->id, &remote));
        round.ready[i].data.u64 = (uint64_t)leg->id;
        Address to;
        socklen_t size = sizeof to;
        CHECK(!getsockname(leg->rtp_fd, &to.any, &size));
        for (int sent = 0; sent < packets; sent++)
            CHECK(sendto(from, packet, sizeof packet, 0, &to.any, size) == sizeof packet);
    }
    close(from);
    own_time = monotonic_now();
    own_time_step = STEP;
    round.engine->due = INT64_MAX;
    return round;
}

static MediaEngineStatistics round_end(Round *round)
{
    own_time = own_time_step = 0;
    MediaEngineStatistics statistics = round->engine->statistics;
    CHECK(statistics.longest_hold_ns > 0);
    media_engine_free(round->engine);
    free(round->inbox);
    return statistics;
}

static void test_many_turns_keep_nobody_out_for_long(void)
{
    Round round = round_begin(0);
    round.engine->due = own_time - (SLOTS - 1) * SLOT;
    media_round(round.engine, round.inbox, NULL, 0);
    for (int i = 0; i < MANY_LEGS; i++)
        CHECK(round.engine->legs[i].statistics.packets_sent + round.engine->legs[i].statistics.send_errors == 1);
    /* One turn is begun within the time, and letting go looks at the clock again. */
    CHECK(round_end(&round).longest_hold_ns <= HOLD + 2 * STEP);
}

static void test_many_ready_sockets_keep_nobody_out_for_long(void)
{
    Round round = round_begin(1);
    media_round(round.engine, round.inbox, round.ready, MANY_LEGS);
    for (int i = 0; i < MANY_LEGS; i++)
        CHECK(round.engine->legs[i].statistics.packets_received == 1);
    CHECK(round_end(&round).longest_hold_ns <= HOLD + 2 * STEP);
}

static void test_a_flood_at_one_port_keeps_nobody_out_for_long(void)
{
    Round round = round_begin(FLOOD);
    media_round(round.engine, round.inbox, round.ready, 1);
    MediaLegStatistics flooded = round.engine->legs[0].statistics;
    CHECK(flooded.packets_received == FLOOD);
    CHECK(round_end(&round).longest_hold_ns <= HOLD + 2 * STEP);
}

static void *give_a_command(void *engine)
{
    MediaEngineStatistics statistics;
    media_engine_statistics(engine, &statistics);
    return NULL;
}

static void test_what_a_command_waits_is_counted(void)
{
    Call call = call_begin();
    Engine *engine = call.engine;
    MediaEngineStatistics before = engine->statistics;
    give_a_command(engine);
    CHECK(engine->statistics.commands == before.commands + 1);
    CHECK(engine->statistics.waited_ns > before.waited_ns);
    CHECK(engine->statistics.kept_out_ns == 0);

    pthread_t other;
    engine_hold(engine);
    CHECK(!pthread_create(&other, NULL, give_a_command, engine));
    /* Whoever stands in line has the gate. */
    while (!pthread_mutex_trylock(&engine->gate)) {
        pthread_mutex_unlock(&engine->gate);
        sched_yield();
    }
    engine_let_go(engine);
    pthread_join(other, NULL);
    MediaEngineStatistics after = engine->statistics;
    CHECK(after.commands == before.commands + 2);
    CHECK(after.kept_out_ns > 0 && after.longest_kept_out_ns == after.kept_out_ns);
    CHECK(after.longest_wait_ns > after.longest_kept_out_ns);
    CHECK(after.longest_hold_ns >= after.longest_kept_out_ns);
    call_end(&call);
}

int main(void)
{
    test_the_first_word_waits_for_the_far_end();
    test_a_play_that_grows();
    test_sequence_numbers_wrap();
    test_loss_duplicates_and_late_ones();
    test_a_sender_that_starts_anew();
    test_jitter();
    test_a_source_is_kept_until_it_is_silent();
    test_moved_by_signalling();
    test_two_sources_by_turns_from_one_place();
    test_each_press_once();
    test_keys_out_then_in();
    test_tones_that_are_made_are_detected();
    test_noise_is_no_key();
    test_an_even_stream_comes_out_as_it_went_in();
    test_the_depth_follows_the_jitter();
    test_the_depth_shrinks_again_in_the_quiet();
    test_any_timestamps_at_all();
    test_one_stream_whatever_happens();
    test_a_long_bridged_call();
    test_a_timestamp_half_the_way_round();
    test_many_turns_keep_nobody_out_for_long();
    test_many_ready_sockets_keep_nobody_out_for_long();
    test_a_flood_at_one_port_keeps_nobody_out_for_long();
    test_what_a_command_waits_is_counted();
    puts("every part did what it should");
    return 0;
}
