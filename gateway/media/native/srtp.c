/* SRTP and SRTCP (RFC 3711, RFC 7714) by libsrtp: which keys a leg has, and the sealing and opening of packets.
 *
 * What a leg is sent is opened under any SSRC. Under a new key it is not known whether the far end lets its rollover
 * counter go on, as RFC 3711 3.3.1 wants, or begins at 0, as many do; nor when it changes from the old key. So for each
 * of these there is a context of its own, and the one that opens a packet is right. */
#define _GNU_SOURCE
#include "core.h"
#include "libsrtp.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    /* In packets: two and a half seconds of what a phone sends. */
    REPLAY_WINDOW = 128,
    /* What a far end may use up under one key: for each libsrtp keeps a stream. */
    SSRCS_MAX = 32,
    SRTCP_INDEX = 4,
    RTCP_HEADER = 8,
    /* 20 s of packets. A far end that misses the last of them before the sequence numbers begin anew, and has no older
     * ones, counts one rollover less than we do (RFC 3711 3.3.1). */
    NEAR_ROLLOVER = 1000,
    ROLLOVER = 1 << 16,
};

/* For how long what the old key opens is still taken. */
#define OLD_KEY (2 * SECOND)

typedef struct {
    int profile;
    size_t key_length;
    size_t least_tag;
} Profile;

static const Profile PROFILES[] = {
    [SRTP_AES_CM_128_HMAC_SHA1_80] = {LIBSRTP_AES128_CM_SHA1_80, 30, 10},
    [SRTP_AES_CM_128_HMAC_SHA1_32] = {LIBSRTP_AES128_CM_SHA1_32, 30, 4},
    [SRTP_AEAD_AES_128_GCM] = {LIBSRTP_AEAD_AES_128_GCM, 28, 16},
    [SRTP_AEAD_AES_256_GCM] = {LIBSRTP_AEAD_AES_256_GCM, 44, 16},
};

enum { PROFILE_COUNT = sizeof PROFILES / sizeof PROFILES[0] };

struct SrtpContext {
    void *session;
    int profile;
    uint8_t key[SRTP_KEY_MAX];
    int64_t until;    /* not tried any more then */
    bool opened;      /* has opened a packet: its rollover counter is the right one */
    int ssrc_count;
    uint32_t ssrcs[SSRCS_MAX];
};

/* The library ----------------------------------------------------------------------------------------------------- */

static Libsrtp libsrtp;
static bool loaded;
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static const char *look_up(void *library, Libsrtp *found)
{
    const struct {
        const char *name;
        void *into;
    } wanted[] = {
        {"srtp_init", &found->init},
        {"srtp_get_version", &found->get_version},
        {"srtp_get_version_string", &found->get_version_string},
        {"srtp_crypto_policy_set_from_profile_for_rtp", &found->crypto_policy_set_from_profile_for_rtp},
        {"srtp_crypto_policy_set_from_profile_for_rtcp", &found->crypto_policy_set_from_profile_for_rtcp},
        {"srtp_create", &found->create},
        {"srtp_dealloc", &found->dealloc},
        {"srtp_protect", &found->protect},
        {"srtp_unprotect", &found->unprotect},
        {"srtp_protect_rtcp", &found->protect_rtcp},
        {"srtp_unprotect_rtcp", &found->unprotect_rtcp},
        {"srtp_get_stream_roc", &found->get_stream_roc},
        {"srtp_set_stream_roc", &found->set_stream_roc},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        void *symbol = dlsym(library, wanted[i].name);
        if (!symbol)
            return wanted[i].name;
        memcpy(wanted[i].into, &symbol, sizeof symbol);
    }
    return NULL;
}

/* Whether the structures are what libsrtp.h says, as far as can be seen. */
static bool layouts_agree(const Libsrtp *found)
{
    LibsrtpCrypto rtp = {0}, rtcp = {0};
    return !found->crypto_policy_set_from_profile_for_rtp(&rtp, LIBSRTP_AES128_CM_SHA1_32)
           && !found->crypto_policy_set_from_profile_for_rtcp(&rtcp, LIBSRTP_AEAD_AES_256_GCM)
           && rtp.cipher_key_length == 30 && rtp.auth_tag_length == 4
           && rtp.services == LIBSRTP_CONFIDENTIAL_AND_AUTHENTIC && rtcp.cipher_key_length == 44
           && rtcp.auth_tag_length == 16;
}

/* Starting a second time is refused and does no harm: pylibsrtp starts it when it is imported, before us or after. */
static bool works(const Libsrtp *found)
{
    uint8_t key[SRTP_KEY_MAX] = {0};
    void *session;
    LibsrtpPolicy policy = {.key = key, .ssrc.type = LIBSRTP_SSRC_ANY_INBOUND};
    found->init();
    found->crypto_policy_set_from_profile_for_rtp(&policy.rtp, LIBSRTP_AEAD_AES_256_GCM);
    found->crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, LIBSRTP_AEAD_AES_256_GCM);
    return found->create(&session, &policy) == LIBSRTP_OK && found->dealloc(session) == LIBSRTP_OK;
}

static const char *load(const char *path)
{
    static _Thread_local char words[400];
    Libsrtp found;
    bool used = false;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(words, sizeof words, "it cannot be loaded (%s)", dlerror());
        return words;
    }
    const char *missing = look_up(library, &found);
    if (missing)
        snprintf(words, sizeof words, "it has no %s", missing);
    else if (found.get_version() < LIBSRTP_OLDEST || found.get_version() >= LIBSRTP_TOO_NEW)
        snprintf(words, sizeof words, "%s is not of the versions 2.4 to 2.8", found.get_version_string());
    else if (!layouts_agree(&found))
        snprintf(words, sizeof words, "%s has other structures than this program knows", found.get_version_string());
    else if (!works(&found))
        snprintf(words, sizeof words, "%s does not start", found.get_version_string());
    else {
        *words = 0;
        /* Contexts belong to the library that made them, so the first one serves all engines of the process. */
        used = !loaded;
        if (used)
            libsrtp = found;
        loaded = true;
    }
    if (!used)
        dlclose(library);
    return *words ? words : NULL;
}

const char *media_engine_use_srtp(Engine *engine, const char *path)
{
    pthread_mutex_lock(&loading);
    const char *problem = load(path);
    pthread_mutex_unlock(&loading);
    engine->has_srtp = !problem;
    return problem;
}

/* Contexts -------------------------------------------------------------------------------------------------------- */

static void context_free(SrtpContext *context)
{
    if (!context)
        return;
    if (context->session)
        libsrtp.dealloc(context->session);
    explicit_bzero(context, sizeof *context);
    free(context);
}

void srtp_forget(LegSrtp *srtp)
{
    context_free(srtp->send);
    for (int i = 0; i < SRTP_RECEIVE_MAX; i++)
        context_free(srtp->receive[i]);
}

static void policy_set(LibsrtpPolicy *policy, SrtpContext *context, int ssrc_type, uint32_t ssrc)
{
    int profile = PROFILES[context->profile].profile;
    *policy = (LibsrtpPolicy){.key = context->key, .window_size = REPLAY_WINDOW};
    policy->ssrc.type = ssrc_type;
    policy->ssrc.value = ssrc;
    libsrtp.crypto_policy_set_from_profile_for_rtp(&policy->rtp, profile);
    libsrtp.crypto_policy_set_from_profile_for_rtcp(&policy->rtcp, profile);
}

static SrtpContext *context_new(int profile, const uint8_t *key)
{
    SrtpContext *context = calloc(1, sizeof *context);
    if (context) {
        context->profile = profile;
        context->until = INT64_MAX;
        memcpy(context->key, key, PROFILES[profile].key_length);
    }
    return context;
}

static SrtpContext *context_to_send(int profile, const uint8_t *key, uint32_t ssrc)
{
    LibsrtpPolicy policy;
    SrtpContext *context = context_new(profile, key);
    if (!context)
        return NULL;
    policy_set(&policy, context, LIBSRTP_SSRC_SPECIFIC, ssrc);
    if (libsrtp.create(&context->session, &policy) == LIBSRTP_OK)
        return context;
    context->session = NULL;
    context_free(context);
    return NULL;
}

/* With a rollover counter it is that of the one SSRC; all others begin at 0. */
static SrtpContext *context_to_receive(int profile, const uint8_t *key, uint32_t ssrc, uint32_t rollovers)
{
    LibsrtpPolicy any, known;
    SrtpContext *context = context_new(profile, key);
    if (!context)
        return NULL;
    policy_set(&any, context, LIBSRTP_SSRC_ANY_INBOUND, 0);
    policy_set(&known, context, LIBSRTP_SSRC_SPECIFIC, ssrc);
    if (rollovers) {
        any.next = &known;
        context->ssrcs[context->ssrc_count++] = ssrc;
    }
    bool made = libsrtp.create(&context->session, &any) == LIBSRTP_OK;
    if (!made)
        context->session = NULL;
    if (made && (!rollovers || libsrtp.set_stream_roc(context->session, ssrc, rollovers) == LIBSRTP_OK))
        return context;
    context_free(context);
    return NULL;
}

static bool has_key(const SrtpContext *context, int profile, const uint8_t *key)
{
    return context && context->profile == profile && !memcmp(context->key, key, PROFILES[profile].key_length);
}

static bool same_key(const SrtpContext *one, const SrtpContext *other)
{
    return has_key(one, other->profile, other->key);
}

static uint32_t rollovers_of(const SrtpContext *context, uint32_t ssrc)
{
    uint32_t rollovers;
    return context && libsrtp.get_stream_roc(context->session, ssrc, &rollovers) == LIBSRTP_OK ? rollovers : 0;
}

/* Packets --------------------------------------------------------------------------------------------------------- */

size_t srtp_seal(const LegSrtp *srtp, bool rtcp, const uint8_t *packet, size_t size, uint8_t out[SEALED_MAX])
{
    if (!srtp->send || size > PACKET_MAX)
        return 0;
    int length = (int)size;
    memcpy(out, packet, size);
    int status = (rtcp ? libsrtp.protect_rtcp : libsrtp.protect)(srtp->send->session, out, &length);
    return status == LIBSRTP_OK ? (size_t)length : 0;
}

static bool knows(const SrtpContext *context, uint32_t ssrc)
{
    for (int i = 0; i < context->ssrc_count; i++)
        if (context->ssrcs[i] == ssrc)
            return true;
    return false;
}

static void note_success(LegSrtp *srtp, SrtpContext *context, uint32_t ssrc)
{
    if (!knows(context, ssrc))
        context->ssrcs[context->ssrc_count++] = ssrc;
    if (context->opened)
        return;
    context->opened = true;
    for (int i = 0; i < SRTP_RECEIVE_MAX; i++)
        if (srtp->receive[i] && srtp->receive[i] != context && same_key(srtp->receive[i], context))
            srtp->receive[i]->until = 0;
}

size_t srtp_open(Leg *leg, bool rtcp, const uint8_t *data, size_t size, uint8_t out[PACKET_MAX], int64_t now)
{
    LegSrtp *srtp = &leg->srtp;
    size_t least = rtcp ? RTCP_HEADER + SRTCP_INDEX : RTP_HEADER;
    bool keys = false, replayed = false;
    if (size < least || size > PACKET_MAX || data[0] >> 6 != 2) {
        leg->statistics.malformed++;
        return 0;
    }
    uint32_t ssrc = get32(data + (rtcp ? 4 : 8));
    for (int i = 0; i < SRTP_RECEIVE_MAX; i++) {
        SrtpContext *context = srtp->receive[i];
        if (!context || now >= context->until)
            continue;
        keys = true;
        if (size < least + PROFILES[context->profile].least_tag
            || (context->ssrc_count == SSRCS_MAX && !knows(context, ssrc)))
            continue;
        int length = (int)size;
        memcpy(out, data, size);
        int status = (rtcp ? libsrtp.unprotect_rtcp : libsrtp.unprotect)(context->session, out, &length);
        if (status == LIBSRTP_OK) {
            note_success(srtp, context, ssrc);
            return (size_t)length;
        }
        replayed |= status == LIBSRTP_REPLAYED || status == LIBSRTP_REPLAYED_OLD;
    }
    if (!keys)
        leg->statistics.ignored++;
    else if (replayed)
        leg->statistics.replayed++;
    else
        leg->statistics.unauthentic++;
    return 0;
}

/* Changing the keys ----------------------------------------------------------------------------------------------- */

/* What is to be made, as the leg stood when it was asked. */
typedef struct {
    bool sends;               /* with a new key */
    bool receives;
    bool new_stream;
    uint32_t ssrc;            /* of what we send */
    uint32_t far_ssrc;
    uint32_t rollovers[3];    /* that the far end may count at its first packet under the new key */
    int rollovers_count;
} Plan;

static void plan_rollover(Plan *plan, uint32_t rollovers)
{
    for (int i = 0; i < plan->rollovers_count; i++)
        if (plan->rollovers[i] == rollovers)
            return;
    plan->rollovers[plan->rollovers_count++] = rollovers;
}

/* The one that opens what comes now, as far as is known; its place in srtp->receive. */
static int present(const LegSrtp *srtp)
{
    for (int i = 0; i < SRTP_RECEIVE_MAX; i++)
        if (srtp->receive[i] && srtp->receive[i]->opened && srtp->receive[i]->until)
            return i;
    return 0;
}

static Plan plan_for(const Leg *leg, const MediaSrtp *keys, uint32_t fresh_ssrc)
{
    const LegSrtp *srtp = &leg->srtp;
    Plan plan = {.ssrc = leg->out.ssrc, .far_ssrc = leg->reception.ssrc};
    plan.sends = !has_key(srtp->send, keys->profile, keys->send);
    /* The first is always one of the newest key. */
    plan.receives = !has_key(srtp->receive[0], keys->profile, keys->receive);
    /* As a far end may or may not count on under a new key, a stream with rollovers behind it or soon to come is
     * given up for one that has none. */
    plan.new_stream = plan.sends && leg->out.sent
                      && (rollovers_of(srtp->send, leg->out.ssrc)
                          || leg->out.next_sequence >= ROLLOVER - NEAR_ROLLOVER);
    if (plan.new_stream)
        plan.ssrc = fresh_ssrc;
    if (plan.receives) {
        plan_rollover(&plan, 0);
        if (leg->reception.started && srtp->receive[0]) {
            uint32_t rollovers = rollovers_of(srtp->receive[present(srtp)], plan.far_ssrc);
            plan_rollover(&plan, rollovers);
            if (leg->reception.max_sequence >= ROLLOVER - NEAR_ROLLOVER)
                plan_rollover(&plan, rollovers + 1);
        }
    }
    return plan;
}

/* False without memory. */
static bool make(const Plan *plan, const MediaSrtp *keys, LegSrtp *fresh)
{
    if (plan->sends && !(fresh->send = context_to_send(keys->profile, keys->send, plan->ssrc)))
        return false;
    for (int i = 0; i < plan->rollovers_count; i++) {
        fresh->receive[i] = context_to_receive(keys->profile, keys->receive, plan->far_ssrc, plan->rollovers[i]);
        if (!fresh->receive[i])
            return false;
    }
    return true;
}

static void swap_contexts(SrtpContext **one, SrtpContext **other)
{
    SrtpContext *before = *one;
    *one = *other;
    *other = before;
}

static void change_stream(Leg *leg, const Plan *plan, uint16_t sequence)
{
    /* Far from the end of the numbers: RFC 3711 3.3.1 cannot tell what was lost before the first that arrives. */
    sequence %= ROLLOVER / 2;
    if (plan->new_stream) {
        leg->out.ssrc = plan->ssrc;
        leg->out.next_sequence = sequence;
        leg->out.sent = false;
        leg->forward.based = false;
    } else if (!leg->out.sent) {
        leg->out.next_sequence %= ROLLOVER / 2;
    }
}

/* Afterwards `fresh` holds what the leg no longer needs. */
static void change_keys(Leg *leg, const Plan *plan, uint16_t sequence, LegSrtp *fresh)
{
    LegSrtp *srtp = &leg->srtp;
    if (plan->sends) {
        swap_contexts(&srtp->send, &fresh->send);
        change_stream(leg, plan, sequence);
    }
    if (!plan->receives)
        return;
    if (!srtp->receive[0])
        leg->last_valid = monotonic_now();
    swap_contexts(&srtp->receive[present(srtp)], &fresh->receive[SRTP_RECEIVE_MAX - 1]);
    for (int i = 0; i < SRTP_RECEIVE_MAX; i++)
        swap_contexts(&srtp->receive[i], &fresh->receive[i]);
    SrtpContext *former = srtp->receive[SRTP_RECEIVE_MAX - 1];
    if (former)
        former->until = monotonic_now() + OLD_KEY;
}

static int make_secret(Engine *engine, int64_t id)
{
    engine_lock(engine);
    Leg *leg = leg_of(engine, id);
    LegSrtp former = {0};
    if (leg) {
        former = leg->srtp;
        leg->srtp = (LegSrtp){.required = true};
        leg_watch(engine, leg);
    }
    engine_unlock(engine);
    srtp_forget(&former);
    return leg ? 0 : -ENOENT;
}

int media_leg_secure(Engine *engine, int64_t id, const MediaSrtp *keys)
{
    struct {
        uint32_t ssrc;
        uint16_t sequence;
    } chance;
    LegSrtp fresh = {0};
    if (!engine->has_srtp)
        return -ENOTSUP;
    if (!keys)
        return make_secret(engine, id);
    if (keys->profile < 0 || keys->profile >= PROFILE_COUNT)
        return -EINVAL;
    if (getrandom(&chance, sizeof chance, 0) != sizeof chance)
        return -EIO;
    engine_lock(engine);
    Leg *leg = leg_of(engine, id);
    Plan plan = {0};
    if (leg)
        plan = plan_for(leg, keys, chance.ssrc);
    engine_unlock(engine);
    if (!leg)
        return -ENOENT;
    /* Keys take some 10 us to set up, and a lock that is held for longer has a cost for every leg. */
    int result = make(&plan, keys, &fresh) ? 0 : -ENOMEM;
    if (!result) {
        engine_lock(engine);
        if ((leg = leg_of(engine, id))) {
            leg->srtp.required = true;
            change_keys(leg, &plan, chance.sequence, &fresh);
            leg_watch(engine, leg);
        } else {
            result = -ENOENT;
        }
        engine_unlock(engine);
    }
    srtp_forget(&fresh);
    return result;
}
