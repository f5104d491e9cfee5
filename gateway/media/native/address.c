/* Socket addresses of either family. */
#include "core.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

bool address_parse(const char *text, int port, Address *out)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
    } else {
        char host[INET6_ADDRSTRLEN];
        size_t length = strcspn(text, "%");
        if (length >= sizeof host)
            return false;
        memcpy(host, text, length);
        host[length] = 0;
        if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) != 1)
            return false;
        out->v6.sin6_family = AF_INET6;
        if (text[length] && !(out->v6.sin6_scope_id = if_nametoindex(text + length + 1)))
            out->v6.sin6_scope_id = (uint32_t)strtoul(text + length + 1, NULL, 10);
    }
    address_set_port(out, port);
    return true;
}

bool address_same_host(const Address *one, const Address *other)
{
    if (one->any.sa_family != other->any.sa_family)
        return false;
    if (one->any.sa_family == AF_INET)
        return one->v4.sin_addr.s_addr == other->v4.sin_addr.s_addr;
    return !memcmp(&one->v6.sin6_addr, &other->v6.sin6_addr, sizeof one->v6.sin6_addr);
}

bool address_equal(const Address *one, const Address *other)
{
    return address_port(one) == address_port(other) && address_same_host(one, other);
}

int address_port(const Address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

void address_set_port(Address *address, int port)
{
    if (address->any.sa_family == AF_INET6)
        address->v6.sin6_port = htons((uint16_t)port);
    else
        address->v4.sin_port = htons((uint16_t)port);
}

socklen_t address_size(const Address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}
