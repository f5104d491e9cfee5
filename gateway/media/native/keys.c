/* Keys as RFC 4733 carries them: which packets are a new press. */
#include "core.h"

#include <string.h>

const char KEY_OF_CODE[16] = "0123456789*#ABCD";

/* Further back than any reordering reaches: the far end has started its timestamps anew. */
enum { RESTARTED = 10 * 8000 };

int key_code(char key)
{
    const char *at = key ? memchr(KEY_OF_CODE, key, sizeof KEY_OF_CODE) : NULL;
    return at ? (int)(at - KEY_OF_CODE) : -1;
}

char keys_in_packet(KeysIn *keys, const RtpPacket *packet)
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
        if (ahead < 0 && ahead > -RESTARTED)
            return 0;
        /* No press begins before the one before it is over: this is the next segment of a long one (2.5.1.3), or
         * comes from a sender that moves the timestamp on within a press. */
        if (ahead > 0 && ahead <= keys->duration && code == keys->code && !packet->marker) {
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
