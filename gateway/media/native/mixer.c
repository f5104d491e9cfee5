/* Mixing: every 20 ms one frame from the jitter buffer of each member; what a member hears is the sum without its own.
 *
 * A member that is quiet has no part in the sum: the noise of many lines would add up, and all who are quiet hear the
 * same, which is encoded once in each codec. What is mixed waits in a ring for the leg's own turn, which comes within
 * 20 ms. */
#include "core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MIXES_MAX = 1 << 16,
    LOUD = 32,                        /* mean magnitude, some -60 dBm0: no speech is quieter */
    HANG_OVER = 400 * SAMPLES_PER_MS, /* so that pauses between words, and soft endings, are not cut out */
};

static int16_t saturated(int32_t sum)
{
    return (int16_t)(sum < INT16_MIN ? INT16_MIN : sum > INT16_MAX ? INT16_MAX : sum);
}

/* The media thread ------------------------------------------------------------------------------------------------ */

/* What the others hear of the member; NULL for nothing. */
static const int16_t *heard_of(Engine *engine, Member *member)
{
    const MediaRemote *remote = &member->leg->remote;
    const int16_t *sound = leg_hear(engine, member->leg, MIX_FRAME);
    int magnitude = 0;
    /* Whoever has put us on hold may be playing music. */
    if (!sound || !remote->send || !remote->receive)
        return NULL;
    for (int i = 0; i < MIX_FRAME; i++)
        magnitude += abs(sound[i]);
    if (magnitude > LOUD * MIX_FRAME)
        member->quiet = 0;
    else if (member->quiet < HANG_OVER)
        member->quiet += MIX_FRAME;
    return member->quiet < HANG_OVER ? sound : NULL;
}

static void mix_frame(Engine *engine, Mix *mix)
{
    const int16_t *heard[MIX_MEMBERS];
    int32_t sum[MIX_FRAME] = {0};
    for (int i = 0; i < mix->count; i++) {
        heard[i] = heard_of(engine, mix->members[i]);
        for (int at = 0; heard[i] && at < MIX_FRAME; at++)
            sum[at] += heard[i][at];
    }
    for (int at = 0; at < MIX_FRAME; at++)
        mix->all[at] = saturated(sum[at]);
    for (int i = 0; i < mix->count; i++) {
        Member *member = mix->members[i];
        member->silent = !heard[i];
        for (uint32_t at = 0; at < MIX_FRAME; at++)
            member->ring[(mix->written + at) % MIX_RING] = heard[i] ? saturated(sum[at] - heard[i][at]) : mix->all[at];
    }
    mix->written += MIX_FRAME;
}

void mixes_run(Engine *engine)
{
    Bucket *bucket = &engine->mixing[engine->slot % SLOTS];
    /* Backwards, as with legs. */
    for (int i = bucket->count - 1; i >= 0; i--) {
        engine_make_way(engine);
        if (i >= bucket->count)
            continue;
        Mix *mix = engine->mixes[bucket->legs[i]];
        if (mix->last_slot == engine->slot)
            continue;
        mix->last_slot = engine->slot;
        mix_frame(engine, mix);
    }
}

size_t mix_payload(Leg *leg, uint8_t *payload, size_t room)
{
    Member *member = leg->member;
    Mix *mix = member->mix;
    const Codec *codec = leg->codec;
    Encoded *encoded = &mix->encoded[leg->remote.codec];
    if (!member->silent || leg->packet_samples != MIX_FRAME || mix->written == member->read
        || (codec->open && !encoded->coder))
        return 0;
    if (encoded->of != mix->written) {
        if (codec->open && encoded->of + MIX_FRAME != mix->written)
            codec->restart_encoder(encoded->coder);
        encoded->of = mix->written;
        encoded->size = codec->encode(encoded->coder, mix->all, MIX_FRAME, encoded->payload, sizeof encoded->payload);
    }
    if (!encoded->size || encoded->size > room)
        return 0;
    member->read = mix->written;
    memcpy(payload, encoded->payload, encoded->size);
    return encoded->size;
}

void mix_take(Leg *leg, int16_t *samples)
{
    Member *member = leg->member;
    uint32_t wanted = (uint32_t)leg->packet_samples, ready = member->mix->written - member->read;
    /* Packets that are no whole number of frames are taken in another rhythm than that of mixing. */
    uint32_t spare = wanted % MIX_FRAME ? MIX_FRAME : 0;
    /* Has just joined, has heard other things meanwhile, or a slot was missed. */
    if (ready < wanted || ready > wanted + 2 * spare)
        member->read = member->mix->written - wanted - spare;
    for (uint32_t i = 0; i < wanted; i++)
        samples[i] = member->ring[(member->read + i) % MIX_RING];
    member->read += wanted;
}

/* Commands -------------------------------------------------------------------------------------------------------- */

static Mix *mix_of(Engine *engine, int64_t id)
{
    if (id < 0 || id % MIXES_MAX >= engine->max_legs)
        return NULL;
    Mix *mix = engine->mixes[id % MIXES_MAX];
    return mix && mix->id == id ? mix : NULL;
}

static void mix_free(Mix *mix)
{
    for (int codec = 0; codec < CODECS; codec++)
        if (mix->encoded[codec].coder)
            codec_at(codec)->close(mix->encoded[codec].coder);
    free(mix);
}

void member_free(Member *member)
{
    if (member)
        free(member->spare);
    free(member);
}

Member *mix_leave(Leg *leg)
{
    Member *member = leg->member;
    if (!member)
        return NULL;
    Mix *mix = member->mix;
    for (int i = 0; i < mix->count; i++)
        if (mix->members[i] == member)
            mix->members[i] = mix->members[--mix->count];
    leg->member = NULL;
    Listener *listener = leg->listener;
    listener->mixed = false;
    /* Chunks and tones count in the leg's own ticks again. */
    listener->filled = 0;
    if (!listener_wanted(listener)) {
        member->spare = listener;
        leg->listener = NULL;
    }
    return member;
}

int64_t media_mix_open(Engine *engine)
{
    Mix *mix = calloc(1, sizeof *mix);
    if (!mix)
        return -ENOMEM;
    int64_t id = -EUSERS;
    engine_lock(engine);
    if (engine->free_mix_count) {
        int index = engine->free_mixes[--engine->free_mix_count];
        for (int i = 1; i < SLOTS; i++)
            if (engine->mixing[i].count < engine->mixing[mix->phase].count)
                mix->phase = i;
        Bucket *bucket = &engine->mixing[mix->phase];
        id = mix->id = ++engine->mixes_made * MIXES_MAX + index;
        mix->last_slot = -1;
        mix->position = bucket->count;
        bucket->legs[bucket->count++] = index;
        engine->mixes[index] = mix;
    }
    engine_unlock(engine);
    if (id < 0)
        free(mix);
    return id;
}

int media_mix_close(Engine *engine, int64_t id)
{
    Member *members[MIX_MEMBERS];
    int count = 0;
    engine_lock(engine);
    Mix *mix = mix_of(engine, id);
    if (mix) {
        while (mix->count)
            members[count++] = mix_leave(mix->members[0]->leg);
        int index = (int)(id % MIXES_MAX);
        Bucket *bucket = &engine->mixing[mix->phase];
        Mix *last = engine->mixes[bucket->legs[--bucket->count]];
        bucket->legs[mix->position] = bucket->legs[bucket->count];
        last->position = mix->position;
        engine->mixes[index] = NULL;
        engine->free_mixes[engine->free_mix_count++] = index;
    }
    engine_unlock(engine);
    if (!mix)
        return -ENOENT;
    for (int i = 0; i < count; i++)
        member_free(members[i]);
    mix_free(mix);
    return 0;
}

/* An encoder for all who hear the same in the leg's codec, if it needs one and there is none. */
static void *shared_coder(Engine *engine, int64_t id, int64_t leg_id, int *number)
{
    engine_lock(engine);
    Mix *mix = mix_of(engine, id);
    Leg *leg = leg_of(engine, leg_id);
    *number = leg ? leg->remote.codec : CODEC_PCMU;
    bool lacking = mix && !mix->encoded[*number].coder;
    engine_unlock(engine);
    const Codec *codec = codec_at(*number);
    return lacking && codec->open ? codec->open() : NULL;
}

int media_mix_add(Engine *engine, int64_t id, int64_t leg_id)
{
    int number, problem = 0;
    void *coder = shared_coder(engine, id, leg_id, &number);
    Member *member = calloc(1, sizeof *member), *former = NULL;
    Listener *listener = calloc(1, sizeof *listener);
    if (!member || !listener)
        problem = -ENOMEM;
    else
        listener_reset(listener);

    engine_lock(engine);
    Mix *mix = mix_of(engine, id);
    Leg *leg = leg_of(engine, leg_id);
    if (!mix || !leg)
        problem = -ENOENT;
    else if (!problem && (!leg->member || leg->member->mix != mix)) {
        if (mix->count == MIX_MEMBERS) {
            problem = -ENOBUFS;
        } else {
            leg_part(engine, leg);
            former = mix_leave(leg);
            if (!leg->listener) {
                leg->listener = listener;
                listener = NULL;
            }
            leg->listener->mixed = true;
            leg->listener->filled = 0;
            *member = (Member){.mix = mix, .leg = leg, .quiet = HANG_OVER, .read = mix->written};
            leg->member = mix->members[mix->count++] = member;
            member = NULL;
            if (coder && !mix->encoded[number].coder) {
                mix->encoded[number].coder = coder;
                coder = NULL;
            }
        }
    }
    engine_unlock(engine);
    if (coder)
        codec_at(number)->close(coder);
    member_free(former);
    free(member);
    free(listener);
    return problem;
}

int media_mix_remove(Engine *engine, int64_t id, int64_t leg_id)
{
    Member *member = NULL;
    engine_lock(engine);
    Mix *mix = mix_of(engine, id);
    Leg *leg = leg_of(engine, leg_id);
    if (mix && leg && leg->member && leg->member->mix == mix)
        member = mix_leave(leg);
    engine_unlock(engine);
    member_free(member);
    return mix && leg ? 0 : -ENOENT;
}

bool mixes_allocate(Engine *engine)
{
    size_t count = (size_t)engine->max_legs;
    if (!(engine->mixes = calloc(count, sizeof *engine->mixes)) || !(engine->free_mixes = calloc(count, sizeof(int))))
        return false;
    for (int i = 0; i < SLOTS; i++)
        if (!(engine->mixing[i].legs = calloc(count, sizeof(int))))
            return false;
    for (int i = engine->max_legs - 1; i >= 0; i--)
        engine->free_mixes[engine->free_mix_count++] = i;
    return true;
}

void mixes_free(Engine *engine)
{
    for (int i = 0; engine->mixes && i < engine->max_legs; i++)
        if (engine->mixes[i])
            media_mix_close(engine, engine->mixes[i]->id);
    for (int i = 0; i < SLOTS; i++)
        free(engine->mixing[i].legs);
    free(engine->free_mixes);
    free(engine->mixes);
}
