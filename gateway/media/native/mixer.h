/* Several legs that each hear all the others: what mixer.c shares with the rest of the engine. */
#ifndef MIXER_H
#define MIXER_H

#include "codec.h"

enum {
    MIX_MEMBERS = 32,
    MIX_FRAME = 160, /* samples of 20 ms, after which all members are mixed again */
    MIX_RING = 1024, /* samples kept for a leg whose packets are longer */
};

typedef struct Leg Leg;
typedef struct Listener Listener;
typedef struct Mix Mix;

/* A leg in a mix; allocated and freed by commands. */
typedef struct {
    Mix *mix;
    Leg *leg;
    int quiet;             /* samples since it was loud enough to be mixed */
    bool silent;           /* it has no part in the newest frame, so it hears what all the silent hear */
    uint32_t read;         /* as Mix.written, of what the leg has sent on */
    Listener *spare;       /* what was the leg's, and nobody needs any more */
    int16_t ring[MIX_RING]; /* what it hears */
} Member;

/* What the silent hear in one codec: encoded once for all of them. */
typedef struct {
    void *coder; /* allocated and freed by commands; NULL with a codec that remembers nothing */
    uint32_t of; /* Mix.written when it was encoded */
    size_t size;
    uint8_t payload[2 * MIX_FRAME];
} Encoded;

struct Mix {
    int64_t id;
    int phase;        /* bucket that it is mixed with, and its place there */
    int position;
    int64_t last_slot;
    uint32_t written; /* samples mixed so far */
    int count;
    Member *members[MIX_MEMBERS];
    int16_t all[MIX_FRAME];
    Encoded encoded[CODECS];
};

typedef struct Engine Engine;

/* mixer.c: for the media thread */
void mixes_run(Engine *engine);
/* The newest frame ready for the wire, if others hear the same; 0 if the leg needs one of its own: mix_take(). */
size_t mix_payload(Leg *leg, uint8_t *payload, size_t room);
/* One packet's samples. */
void mix_take(Leg *leg, int16_t *samples);

/* For commands. What is returned is freed when the engine is unlocked; NULL if the leg is in no mix. */
Member *mix_leave(Leg *leg);
void member_free(Member *member);
bool mixes_allocate(Engine *engine);
void mixes_free(Engine *engine);

#endif
