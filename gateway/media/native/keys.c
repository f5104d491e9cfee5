/* Keys as RFC 4733 carries them: which packets are a new press. */
#include "core.h"

#include <string.h>

const char KEY_OF_CODE[16] = "0123456789*#ABCD";

enum {
    RESTARTED = 10 * 8000, /* samples further back than any reordering reaches: timestamps have begun anew */
    LONG = 8000,           /* samples after which a press is likely to be sent in segments */
    LATE = 800,            /* samples that a segment may begin after the one before it seemed to end */
    /* Segments of 1.2 s at 48,000 Hz: a whole number of packets of any length that we send. */
    SEGMENT = 57600,
};

int key_code(char key)
{
    const char *at = key ? memchr(KEY_OF_CODE, key, sizeof KEY_OF_CODE) : NULL;
    return at ? (int)(at - KEY_OF_CODE) : -1;
}

uint32_t key_segment(uint32_t lasted, int scale)
{
    uint32_t longest = scale == 1 ? UINT16_MAX : SEGMENT;
    return lasted ? (lasted - 1) / longest * longest : 0;
}

char keys_in_packet(KeysIn *keys, const RtpPacket *packet, int scale)
{
    if (packet->size < 4 || packet->payload[0] >= sizeof KEY_OF_CODE)
        return 0;
    int code = packet->payload[0];
    uint16_t duration = get16(packet->payload + 2);
    if (keys->any) {
        int32_t ahead = (int32_t)(packet->timestamp - keys->newest);
        if (ahead == 0) {
            if (duration > keys->duration)
                keys->duration = duration;
            return 0;
        }
        if (ahead < 0 && ahead > -RESTARTED * scale)
            return 0;
        /* No press begins before the one before it is over: this is the next segment of a long one (2.5.1.3), or
         * comes from a sender that moves the timestamp on within a press. Browsers begin a segment with the packet that
         * comes after the longest duration, a moment late. */
        int32_t longest = keys->duration + (keys->duration > LONG * scale ? LATE * scale : 0);
        if (ahead > 0 && ahead <= longest && code == keys->code && !packet->marker) {
            keys->newest = packet->timestamp;
            keys->duration = duration;
            return 0;
        }
    }
    keys->any = true;
    keys->newest = packet->timestamp;
    keys->code = code;
    keys->duration = duration;
    return KEY_OF_CODE[code];
}
