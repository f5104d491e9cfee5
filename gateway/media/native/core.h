/* What the files of the engine share. Units: times are nanoseconds of CLOCK_MONOTONIC, sound is samples at 8,000 Hz.
 *
 * `Engine.mutex` guards everything but the fields marked otherwise. Functions below expect it to be held, unless
 * media.h declares them. */
#ifndef CORE_H
#define CORE_H

#include "codec.h"
#include "media.h"
#include "mixer.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define SECOND INT64_C(1000000000)
#define MILLISECOND INT64_C(1000000)
#define SLOT (5 * MILLISECOND)
#define NS_PER_SAMPLE 125000

enum {
    SLOTS = 4,           /* slots in the 20 ms after which every leg has its turn again */
    SAMPLES_PER_MS = 8,
    FRAME = 160,         /* samples of 20 ms */
    FRAME_MAX = 480,     /* samples of 60 ms, the longest packet we send */
    PACKET_MAX = 1500,   /* bytes; nothing longer can be RTP of ours */
    SEALED_MAX = PACKET_MAX + 148, /* the most that libsrtp can add: index, tag and MKI */
    RTP_HEADER = 12,
    PAYLOAD_MAX = PACKET_MAX - RTP_HEADER,
    KEYS_MAX = 128,      /* keys that may wait to be sent */
    CHUNK = 800,         /* samples of the 100 ms that listening delivers at a time */
};

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} Address;

static inline uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t get32(const uint8_t *at) { return (uint32_t)get16(at) << 16 | get16(at + 2); }
static inline void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}
static inline void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

/* g711.c ------------------------------------------------------------------------------------------------------- */

enum { PCMU_SILENCE = 0xFF, PCMA_SILENCE = 0xD5 };

extern int16_t g711_decoded[2][256];     /* by codec */
extern uint8_t g711_transcoded[2][256];  /* by codec transcoded from */
void g711_initialise(void);
uint8_t g711_encode_pcmu(int sample);
uint8_t g711_encode_pcma(int sample);

/* rtp.c: reading one packet, and what RFC 3550 keeps about a sender ------------------------------------------- */

typedef struct {
    uint8_t payload_type;
    bool marker;
    uint16_t sequence;
    uint32_t timestamp;
    uint32_t ssrc;
    const uint8_t *payload;
    size_t size;
} RtpPacket;

bool rtp_parse(const uint8_t *data, size_t size, RtpPacket *packet);

typedef enum {
    SEQUENCE_NEXT,      /* ahead of everything seen */
    SEQUENCE_LATE,      /* fills a gap */
    SEQUENCE_DUPLICATE,
    SEQUENCE_DOUBTFUL,  /* so far off that only a second one in a row makes it true (RFC 3550 A.1) */
} Sequence;

typedef struct {
    uint32_t ssrc;
    bool started;
    uint16_t max_sequence;
    uint32_t base_sequence;
    uint32_t cycles;
    uint32_t bad_sequence;
    uint32_t received;   /* with duplicates, as A.3 wants it */
    uint32_t distinct;
    int64_t lost_before; /* of the streams before this one */
    uint64_t seen;       /* bit n: max_sequence - n has been received */
    uint32_t expected_prior;
    uint32_t received_prior;
    bool transit_known;
    uint32_t transit;
    double jitter;       /* RTP timestamp units, A.8 */
} Reception;

void reception_start(Reception *reception, uint32_t ssrc);
Sequence reception_update(Reception *reception, uint16_t sequence);
/* `scale`: RTP timestamp units to a sample. */
void reception_jitter(Reception *reception, uint32_t timestamp, int64_t arrival, int scale);
/* Of the present stream; never negative. */
int64_t reception_lost(const Reception *reception);

/* keys.c: RFC 4733 ---------------------------------------------------------------------------------------------- */

typedef struct {
    bool any;
    uint32_t newest;       /* timestamp of the newest event */
    int code;
    uint16_t duration;     /* longest seen of the newest event, RTP timestamp units */
} KeysIn;

/* The key character of a new press, 0 for anything else. `scale`: RTP timestamp units to a sample. */
char keys_in_packet(KeysIn *keys, const RtpPacket *packet, int scale);

/* RFC 4733 2.5.1.3: where the segment begins in which a press has lasted so long, all in RTP timestamp units. */
uint32_t key_segment(uint32_t lasted, int scale);

typedef struct {
    char waiting[KEYS_MAX];
    uint16_t durations[KEYS_MAX]; /* samples */
    uint16_t gaps[KEYS_MAX];
    int head;
    int count;
    bool sounding;
    int ends_left;           /* packets with the end bit still to send */
    uint32_t timestamp;
    uint32_t elapsed;        /* samples of the present key */
    uint32_t gap_left;
} KeysOut;

static inline bool keys_out_active(const KeysOut *keys)
{
    return keys->count || keys->sounding || keys->ends_left;
}

extern const char KEY_OF_CODE[16];
int key_code(char key);

/* tones.c: keys as sound ----------------------------------------------------------------------------------------- */

typedef struct {
    int code;     /* of the last block, -1 for none */
    int hits;
    int misses;
    bool reported;
} ToneDetector;

void tone_start(ToneDetector *detector);
/* The key character when this block of 20 ms makes a new press certain, else 0. */
char tone_detect(ToneDetector *detector, const int16_t samples[FRAME]);
void tone_make(int code, uint32_t from, uint8_t *pcmu, size_t samples);

/* listener.c: jitter buffer and what hears its output ------------------------------------------------------------ */

enum { RING = 4096, DEPTH_MIN = 160, DEPTH_START = 320, DEPTH_MAX = 1600 };

typedef struct Listener {
    bool deliver;    /* chunks wanted */
    bool detect;     /* keys wanted */
    bool mixed;      /* the leg is in a mix, at whose turn sound comes out */
    bool running;
    uint32_t play;   /* RTP timestamp of the next sample to come out */
    int depth;       /* samples between a packet's usual arrival and its turn */
    int least_margin;
    int window;      /* samples until least_margin is judged */
    bool shrink;
    int16_t ring[RING];
    int16_t history[FRAME];
    int history_at;
    int16_t chunk[CHUNK];
    int filled;
    ToneDetector tones;
} Listener;

static inline bool listener_wanted(const Listener *listener)
{
    return listener->deliver || listener->detect || listener->mixed;
}

void listener_reset(Listener *listener);
/* `timestamp` counts samples. */
void listener_put(Listener *listener, uint32_t timestamp, const int16_t *samples, int count);
void listener_take(Listener *listener, int16_t *out, int samples);

/* The leg -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *data;
    size_t size;
} Span;

typedef struct {
    bool active;
    int then;        /* THEN_... */
    int64_t id;
    Span *spans;     /* allocated and freed by commands */
    int count;
    int at;
    size_t offset;
    int64_t heard;   /* samples */
} Play;

typedef struct {
    uint32_t ssrc;
    uint16_t next_sequence;
    uint32_t next_timestamp;  /* where the last packet's sound ends */
    bool sent;
    uint32_t sent_timestamp;  /* of the packet sent at sent_time: the stream's clock */
    int64_t sent_time;
    int scale;                /* RTP timestamp units to a sample */
} Stream;

/* How a bridged packet's numbers become those of the stream it goes out in. */
typedef struct {
    bool based;
    uint32_t ssrc;
    uint16_t first;            /* oldest sequence number that the mapping holds for */
    uint16_t newest;
    uint16_t sequence_offset;
    uint32_t timestamp_in;     /* a moment by the peer's clock, */
    uint32_t timestamp_out;    /* and by the leg's */
    uint32_t press;            /* when the peer's newest press began, by its clock */
    int64_t last;              /* when the last packet was passed on */
} Forward;

/* What a decoder has had, and how the far end's RTP timestamps become a clock of samples. */
typedef struct {
    bool mapped;
    uint32_t timestamp;        /* a moment by the one, */
    uint32_t samples;          /* and by the other */
    bool running;
    uint16_t sequence;         /* of the packet decoded last */
    uint32_t end;              /* where its sound ended, samples */
    int64_t paid_until;        /* when as much time will have passed as sound has been decoded */
} Decoding;

typedef struct {
    int64_t next;
    uint32_t sr_ssrc;
    uint32_t sr_middle;        /* middle 32 bits of the last SR's NTP time, 0 before any */
    int64_t sr_arrival;
    int64_t packets_reported;  /* packets_sent at our last report */
    char cname[25];
} Rtcp;

/* srtp.c: one direction under one key. */
typedef struct SrtpContext SrtpContext;

/* The new key as it may be used three ways, and the one before it. */
enum { SRTP_RECEIVE_MAX = 4 };

typedef struct {
    bool required;        /* nothing goes out or is taken in the clear, ever */
    SrtpContext *send;
    SrtpContext *receive[SRTP_RECEIVE_MAX]; /* in the order in which they are tried */
} LegSrtp;

typedef struct Leg Leg;
struct Leg {
    bool open;
    int64_t id;
    int rtp_fd;
    int rtcp_fd;               /* -1 with ICE */

    bool ice;                  /* one port for RTP, RTCP, STUN and DTLS; sends where set_path() says, latches nowhere */
    bool has_path;
    bool watched;              /* epoll tells of its RTP socket */
    int wakes_left;            /* how often it may do so until the leg's turn */
    int64_t datagrams_due[2];  /* when the next would come at the greatest rate: from elsewhere, from the path */
    LegSrtp srtp;

    int phase;                 /* bucket the leg has its turn in; and the one two further when ticks are 10 ms */
    int position[2];
    int tick;                  /* samples between turns */
    int packet_samples;        /* samples we put into a packet */
    int waited;                /* samples since the last packet's turn */
    int64_t last_slot;

    bool has_remote;
    MediaRemote remote;
    Address signalled;
    Address destination;
    Address rtcp_destination;
    bool rtcp_latched;

    bool locked;
    Address source;
    Address former_source;     /* where media came from before signalling moved it */
    int64_t former_until;
    uint32_t former_ssrc;
    int64_t former_ssrc_until;
    Reception reception;
    int64_t last_rtp;
    int64_t last_valid;
    bool started;
    bool media_lost;

    const Codec *codec;
    void *coder;               /* allocated and freed by commands; NULL with a codec that remembers nothing */
    Decoding decoding;
    bool encoder_behind;       /* others have encoded what was sent last */

    Stream out;
    Play play;
    int patience;              /* samples that plays may still wait for the far end to be heard */
    KeysIn keys_in;
    KeysOut keys_out;
    Leg *peer;
    Forward forward;           /* of what the peer sends to this leg */
    Member *member;            /* of a mix */
    Listener *listener;        /* allocated and freed by commands */
    Rtcp rtcp;

    int64_t samples_sent;
    int64_t samples_received;
    MediaLegStatistics statistics;
};

/* The engine ----------------------------------------------------------------------------------------------------- */

typedef struct {
    int *legs; /* or mixes */
    int count;
} Bucket;

typedef struct {
    uint8_t *bytes;
    size_t used;
    size_t datagrams; /* bytes of used */
} EventBuffer;

struct Engine {
    pthread_mutex_t gate;      /* held only while waiting for the mutex */
    pthread_mutex_t mutex;
    int64_t held_since;        /* when the media thread last took the mutex, */
    int64_t worked_since;      /* what processor time it had used then, */
    int64_t let_go_at;         /* and when it last let go */
    pthread_t thread;
    bool running;              /* of the starting thread */
    atomic_bool stop;
    bool ask_realtime;
    bool send_silence;
    bool has_srtp;
    int64_t media_timeout;     /* 0: never */
    Address address;

    int epoll_fd;
    int timer_fd;
    int event_fd;

    Leg *legs;
    int max_legs;
    int *free_legs;
    int free_count;
    Bucket buckets[SLOTS];

    Mix **mixes;
    int64_t mixes_made;
    int *free_mixes;
    int free_mix_count;
    Bucket mixing[SLOTS];

    int64_t slot;
    int64_t due;               /* when the slot is */
    int64_t realtime_offset;   /* CLOCK_REALTIME minus CLOCK_MONOTONIC */
    uint64_t random;

    EventBuffer events[2];
    int events_current;
    bool events_signalled;
    MediaEngineStatistics statistics;
};

/* Room for sound, for datagrams, and for everything else beyond both: neither a listener that nobody empties nor a
 * flood from the network costs a key or a play. */
enum { EVENTS_FOR_SOUND = 4 << 20, EVENTS_FOR_DATAGRAMS = 1 << 20, EVENTS_TOTAL = 7 << 20 };

/* lock.c */

/* How long the media thread keeps commands out before it lets them in, if no single leg's turn takes longer. Short
 * enough that nobody feels it; long enough that not every leg costs a change of threads while commands come thick. */
#define HOLD (50 * (MILLISECOND / 1000))

void engine_make_mutex(pthread_mutex_t *mutex);
/* For commands. */
void engine_lock(Engine *engine);
void engine_unlock(Engine *engine);
/* For the media thread. */
void engine_hold(Engine *engine);
void engine_let_go(Engine *engine);
/* Lets commands in if HOLD has passed: legs may have been closed, opened, bridged and parted. The time now. */
int64_t engine_make_way(Engine *engine);

/* event.c */
bool events_allocate(Engine *engine);
void events_free(Engine *engine);
void event_push(Engine *engine, const Leg *leg, uint32_t kind, int64_t value, int64_t extra);
void event_push_sound(Engine *engine, const Leg *leg, const int16_t *samples, int count);
/* False if there is no room left for datagrams. */
bool event_push_datagram(Engine *engine, const Leg *leg, const uint8_t *data, size_t size, const Address *from);
void events_signal(Engine *engine);

/* address.c */
bool address_parse(const char *text, int port, Address *out);
bool address_equal(const Address *one, const Address *other);
bool address_same_host(const Address *one, const Address *other);
int address_port(const Address *address);
void address_set_port(Address *address, int port);
socklen_t address_size(const Address *address);

/* What a packet carries when it is not sound of a codec. */
enum { CONTENT_EVENT = -1, CONTENT_NOISE = -2, CONTENT_UNKNOWN = -3 };

/* srtp.c */
void srtp_forget(LegSrtp *srtp);
/* The packet, RTP or RTCP, sealed into `out`, its new size; 0 if that cannot be. */
size_t srtp_seal(const LegSrtp *srtp, bool rtcp, const uint8_t *packet, size_t size, uint8_t out[SEALED_MAX]);
/* The packet opened into `out`, its new size; 0 if it is not the far end's, which has been counted then. */
size_t srtp_open(Leg *leg, bool rtcp, const uint8_t *data, size_t size, uint8_t out[PACKET_MAX], int64_t now);

/* What the leg has to send may go out now. Otherwise it is as if it were held. */
static inline bool leg_may_send(const Leg *leg)
{
    return (!leg->srtp.required || leg->srtp.send) && (!leg->ice || leg->has_path);
}

/* Without keys nothing can be heard, so nothing is missed. */
static inline bool leg_may_receive(const Leg *leg) { return !leg->srtp.required || leg->srtp.receive[0]; }

/* datagram.c */
/* What came at the leg's RTP port, whatever it is. */
void leg_receive(Engine *engine, Leg *leg, const uint8_t *data, size_t size, const Address *from, int64_t arrival,
                 int64_t now);

/* receive.c */
void leg_receive_rtp(Engine *engine, Leg *leg, const uint8_t *data, size_t size, const Address *from, int64_t arrival,
                     int64_t now);
/* Signalling has named another address: packets go there, and whoever answers from anywhere is latched onto. */
void leg_move(Leg *leg, const Address *signalled, const Address *rtcp, int64_t now);

/* coding.c */
/* Samples in a packet of sound; 0 if it is none. */
int leg_duration(const Leg *leg, const RtpPacket *packet, int content);
/* How many samples the packet made, which the listener has by then; 0 for none. Not for packets that are doubtful. */
int leg_decode(Leg *leg, const RtpPacket *packet, Sequence sequence, int content, int64_t now,
               int16_t samples[SOUND_MAX]);
/* Bytes of payload in the leg's codec, 0 for none. */
size_t leg_encode(Leg *leg, const int16_t *samples, int count, uint8_t *payload, size_t room);

/* send.c */
void leg_send_due(Engine *engine, Leg *leg, int64_t now);
uint32_t stream_clock(const Stream *stream, int64_t now);
uint32_t stream_timestamp(const Stream *stream, int64_t now, bool *marker);
void leg_send_packet(Leg *leg, int payload_type, bool marker, uint16_t sequence, uint32_t timestamp, uint8_t *packet,
                     size_t size);
void play_end(Engine *engine, Leg *leg, bool completed);

/* bridge.c */
bool bridge_carries(const Leg *to, int64_t now);
/* `samples`: what leg_decode() made of a packet that has to be transcoded, and how many. */
void bridge_forward(Leg *from, Leg *to, const RtpPacket *packet, Sequence sequence, int content, bool new_event,
                    const int16_t *samples, int count, int64_t now);

/* rtcp.c */
void rtcp_schedule(Engine *engine, Leg *leg, int64_t now, bool first);
void rtcp_send(Engine *engine, Leg *leg, int64_t now, bool bye);
void leg_receive_rtcp(Engine *engine, Leg *leg, const uint8_t *data, size_t size, const Address *from, int64_t now);

/* clock.c */
int64_t monotonic_now(void);
int64_t realtime_now(void);
int64_t worked_now(void); /* processor time of the calling thread */

/* thread.c: what epoll gives back is a leg's id, with RTCP_FLAG for its second socket, or TIMER. */
#define TIMER UINT64_MAX
#define RTCP_FLAG (UINT64_C(1) << 63)

typedef struct Inbox Inbox; /* what is read at a time */
struct epoll_event;
Inbox *inbox_new(void);
/* What the far end said in so many samples, 80 or 160, the same every time; NULL before it has said anything. */
const int16_t *leg_hear(Engine *engine, Leg *leg, int samples);
/* What the media thread does after each wake-up. */
void media_round(Engine *engine, Inbox *inbox, const struct epoll_event *ready, int count);
void *media_thread(void *engine);

/* engine.c */
Leg *leg_of(Engine *engine, int64_t id);
uint64_t random_next(Engine *engine);
void leg_heard(Engine *engine, Leg *leg, int64_t now);
/* Bridged legs are waited for; and those with ICE until they are connected, or every check would take 20 ms. */
void leg_watch(Engine *engine, Leg *leg);
void leg_unwatch(Engine *engine, Leg *leg);
/* Unbridged; without effect if it is not bridged. */
void leg_part(Engine *engine, Leg *leg);

#endif
