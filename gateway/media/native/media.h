/* What Python may call: the media engine as plain C functions, bound by ctypes in gateway/media/engine.py.
 *
 * Every function may be called from any thread. None is kept out by the media thread for longer than some 0.1 ms
 * (HOLD in core.h, and one leg's turn). A leg is named by an id that is never used twice; a function given the id of
 * a closed leg does nothing and returns -ENOENT. Failures are negative errno values. Times are in the unit that the
 * name says. */
#ifndef MEDIA_H
#define MEDIA_H

#include <stddef.h>
#include <stdint.h>

typedef struct Engine Engine;

/* Raised with every change of what is declared here, so that a library left over from older sources is noticed. */
enum { MEDIA_ABI = 7 };
int media_abi(void);

enum { CODEC_PCMU, CODEC_PCMA, CODEC_G722, CODEC_OPUS };

enum { SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AES_CM_128_HMAC_SHA1_32, SRTP_AEAD_AES_128_GCM, SRTP_AEAD_AES_256_GCM };

/* What follows the last clip of a play: its end, the first clip again, or silence until there are more. */
enum { THEN_END, THEN_AGAIN, THEN_WAIT };

enum {
    EVENT_KEY = 1,
    EVENT_PLAY_ENDED,
    EVENT_MEDIA_STARTED,
    EVENT_MEDIA_LOST,
    EVENT_MEDIA_BACK,
    EVENT_AUDIO,
    EVENT_DATAGRAM, /* followed by the sender's address, 4 or 16 bytes, and what it sent */
};

/* One event as it lies in the buffer that media_engine_events() hands out, followed by `size` bytes and padding
 * to a multiple of 8. */
typedef struct {
    uint32_t kind;
    uint32_t size;
    int64_t leg;
    int64_t value; /* key character; play id; datagram: the sender's port */
    int64_t extra; /* key: 1 when heard in-band; play: heard milliseconds times 2, plus 1 when completed; datagram: bytes
                    * of the address, plus 256 times its scope id */
} MediaEvent;

typedef struct {
    char address[64]; /* textual, of the engine's family */
    int32_t port;
    int32_t rtcp_port;       /* the RTP port itself when multiplexed (RFC 5761) */
    int32_t codec;           /* CODEC_... */
    int32_t payload_type;    /* in what we send */
    int32_t payload_type_in; /* in what we are sent */
    int32_t telephone_event; /* RFC 4733 payload type in what we send, -1 without */
    int32_t telephone_event_in;
    int32_t ptime_ms; /* of what we send: 10, 20 ... 60 */
    int32_t send;
    int32_t receive;
    int32_t rtcp_mux;
} MediaRemote;

enum { SRTP_KEY_MAX = 44 };

typedef struct {
    int32_t profile;               /* SRTP_... */
    uint8_t send[SRTP_KEY_MAX];    /* master key followed by master salt, as long as the profile's are */
    uint8_t receive[SRTP_KEY_MAX];
} MediaSrtp;

typedef struct {
    int64_t packets_sent;
    int64_t bytes_sent; /* payload, as RFC 3550 counts octets */
    int64_t packets_received;
    int64_t bytes_received;
    int64_t lost;
    int64_t duplicates;
    int64_t reordered;
    int64_t ignored;   /* from a source that is not the far end, or before it was known; or a flood */
    int64_t malformed; /* not RTP or RTCP, or of no payload type that was agreed on */
    int64_t send_errors;
    int64_t remote_lost; /* what the far end reports of our stream */
    int64_t audio_sent_ms;
    int64_t audio_received_ms;
    int64_t unauthentic;       /* SRTP or SRTCP that no key of the leg opens */
    int64_t replayed;          /* SRTP or SRTCP that came before, or is older than can be told */
    int64_t datagrams_dropped; /* STUN and DTLS beyond what a leg may be sent */
    double jitter_ms;
    double remote_jitter_ms;
    double round_trip_ms; /* negative while unknown */
} MediaLegStatistics;

typedef struct {
    int64_t legs;
    int64_t wake_ups;
    int64_t late_slots;   /* run, but more than one slot after their time */
    int64_t missed_slots; /* not run at all: their legs sent nothing */
    int64_t events_dropped;
    int64_t realtime; /* 1 when the thread runs under SCHED_RR */
    int64_t longest_hold_ns; /* that the media thread kept everybody else out at a stretch */
    int64_t longest_work_ns; /* the same by processor time: shorter if the thread was off its core meanwhile */
    int64_t commands;
    int64_t waited_ns; /* from asking until they had the engine, in all */
    int64_t longest_wait_ns;
    int64_t kept_out_ns; /* of that, until the media thread had let go: the rest is other commands, and waking up */
    int64_t longest_kept_out_ns;
} MediaEngineStatistics;

/* Without it there is no CODEC_OPUS. -ENOENT if there is no libopus at that path. */
int media_load_opus(const char *path);

/* NULL with errno set when the address is none or memory or file descriptors have run out. */
Engine *media_engine_new(const char *address, int max_legs, double media_timeout_s, int send_silence, int realtime);
int media_engine_start(Engine *engine);
void media_engine_stop(Engine *engine);
void media_engine_free(Engine *engine);
int media_engine_event_fd(const Engine *engine);
void media_engine_statistics(Engine *engine, MediaEngineStatistics *out);

/* Makes SRTP possible, with the libsrtp in the shared library of that path: NULL, or words about what is wrong with it,
 * valid until the thread's next call. Before media_engine_start(). */
const char *media_engine_use_srtp(Engine *engine, const char *path);

/* Bytes of events at *out, valid until the next call. One thread at a time. */
size_t media_engine_events(Engine *engine, const uint8_t **out);

/* A new leg on `port` (RTP) and `port + 1` (RTCP): its id, or -errno (-EADDRINUSE, -EMFILE, ...). */
int64_t media_leg_open(Engine *engine, int port);
/* The same on `port` alone, for ICE: STUN and DTLS are handed up, RTP and RTCP are SRTP and go where
 * media_leg_set_path() says. */
int64_t media_leg_open_ice(Engine *engine, int port);
int media_leg_close(Engine *engine, int64_t leg, MediaLegStatistics *out);
int media_leg_statistics(Engine *engine, int64_t leg, MediaLegStatistics *out);
int media_leg_set_remote(Engine *engine, int64_t leg, const MediaRemote *remote);
/* The far end's silence counts from now on, whatever was before. */
int media_leg_expect(Engine *engine, int64_t leg);

/* The clips stay the caller's and must stay readable until the play has ended, was replaced or stopped, or the leg
 * is closed; when a function that does one of these returns, the engine does not look at them again. */
int media_leg_play(Engine *engine, int64_t leg, int64_t play_id, const uint8_t *const *clips, const size_t *sizes,
                   int count, int then);
/* A play that waits for more gets it: all of its clips again and those that follow them. -ESRCH if it is over. */
int media_leg_extend_play(Engine *engine, int64_t leg, int64_t play_id, const uint8_t *const *clips,
                          const size_t *sizes, int count, int then);
/* Plays that begin from now on wait for the far end's first packet, but no longer than this from when something can be
 * sent to it: who is not heard yet may not hear yet either. No effect once it was heard, or while something plays. */
int media_leg_await(Engine *engine, int64_t leg, int milliseconds);
int media_leg_stop_playing(Engine *engine, int64_t leg);
int media_leg_send_keys(Engine *engine, int64_t leg, const char *keys, int duration_ms, int gap_ms);
int media_leg_bridge(Engine *engine, int64_t leg, int64_t other);
int media_leg_unbridge(Engine *engine, int64_t leg);

/* A mix of up to 32 legs, each of which hears all the others: its id, or -errno. A leg is bridged or in one mix. */
int64_t media_mix_open(Engine *engine);
int media_mix_close(Engine *engine, int64_t mix);
/* -ENOBUFS when the mix is full. */
int media_mix_add(Engine *engine, int64_t mix, int64_t leg);
int media_mix_remove(Engine *engine, int64_t mix, int64_t leg);

int media_leg_listen(Engine *engine, int64_t leg, int on);
int media_leg_detect_inband_keys(Engine *engine, int64_t leg, int on);

/* From now on nothing is sent or taken in the clear, and without keys nothing at all. A direction whose key stays the
 * same goes on; for a leg by one thread at a time. -ENOTSUP without libsrtp. */
int media_leg_secure(Engine *engine, int64_t leg, const MediaSrtp *keys);

/* For legs of media_leg_open_ice(); others give -EINVAL. A datagram is STUN or DTLS, or it gives -EINVAL too. */
int media_leg_set_path(Engine *engine, int64_t leg, const char *address, int port);
int media_leg_send_datagram(Engine *engine, int64_t leg, const uint8_t *data, size_t size, const char *address,
                            int port);

#endif
