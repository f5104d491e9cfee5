/* What is used of libsrtp 2.4 to 2.8, whose layouts are the same: facts of its C interface in names of ours.
 *
 * The library is found at run time (srtp.c), so that building the engine needs no headers of it. */
#ifndef LIBSRTP_H
#define LIBSRTP_H

#include <stdint.h>

enum { LIBSRTP_OLDEST = 0x2040000, LIBSRTP_TOO_NEW = 0x2090000 }; /* major, minor (8 bits), patch (16 bits) */

/* srtp_profile_t */
enum {
    LIBSRTP_AES128_CM_SHA1_80 = 1,
    LIBSRTP_AES128_CM_SHA1_32 = 2,
    LIBSRTP_AEAD_AES_128_GCM = 7,
    LIBSRTP_AEAD_AES_256_GCM = 8,
};

/* srtp_err_status_t */
enum { LIBSRTP_OK = 0, LIBSRTP_REPLAYED = 9, LIBSRTP_REPLAYED_OLD = 10 };

/* srtp_ssrc_type_t */
enum { LIBSRTP_SSRC_SPECIFIC = 1, LIBSRTP_SSRC_ANY_INBOUND = 2 };

/* sec_serv_conf_and_auth of srtp_sec_serv_t */
enum { LIBSRTP_CONFIDENTIAL_AND_AUTHENTIC = 3 };

/* srtp_crypto_policy_t */
typedef struct {
    uint32_t cipher_type;
    int cipher_key_length; /* with the salt */
    uint32_t auth_type;
    int auth_key_length;
    int auth_tag_length;
    int services;
} LibsrtpCrypto;

/* srtp_policy_t */
typedef struct LibsrtpPolicy LibsrtpPolicy;
struct LibsrtpPolicy {
    struct {
        int type;
        unsigned int value;
    } ssrc;
    LibsrtpCrypto rtp;
    LibsrtpCrypto rtcp;
    unsigned char *key; /* master key, then salt */
    void *keys;
    unsigned long key_count;
    void *ekt;
    unsigned long window_size;
    int allow_repeat_tx;
    int *encrypted_extensions;
    int encrypted_extension_count;
    LibsrtpPolicy *next;
};

/* The functions that are looked up, by their own names without `srtp_`. */
typedef struct {
    int (*init)(void);
    unsigned int (*get_version)(void);
    const char *(*get_version_string)(void);
    int (*crypto_policy_set_from_profile_for_rtp)(LibsrtpCrypto *, int profile);
    int (*crypto_policy_set_from_profile_for_rtcp)(LibsrtpCrypto *, int profile);
    int (*create)(void **session, const LibsrtpPolicy *);
    int (*dealloc)(void *session);
    int (*protect)(void *session, void *packet, int *size);
    int (*unprotect)(void *session, void *packet, int *size);
    int (*protect_rtcp)(void *session, void *packet, int *size);
    int (*unprotect_rtcp)(void *session, void *packet, int *size);
    int (*get_stream_roc)(void *session, uint32_t ssrc, uint32_t *roc);
    int (*set_stream_roc)(void *session, uint32_t ssrc, uint32_t roc);
} Libsrtp;

#endif
