/* What Python is told: two buffers, one being filled while the other is being read. */
#include "core.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool events_allocate(Engine *engine)
{
    for (int i = 0; i < 2; i++)
        if (!(engine->events[i].bytes = malloc(EVENTS_TOTAL)))
            return false;
    return true;
}

void events_free(Engine *engine)
{
    for (int i = 0; i < 2; i++)
        free(engine->events[i].bytes);
}

static size_t room_for(const MediaEvent *event) { return sizeof *event + ((event->size + 7u) & ~(size_t)7); }

static void push(Engine *engine, const MediaEvent *event, const void *data, size_t limit)
{
    EventBuffer *buffer = &engine->events[engine->events_current];
    size_t size = room_for(event);
    if (buffer->used + size > limit) {
        engine->statistics.events_dropped++;
        return;
    }
    memcpy(buffer->bytes + buffer->used, event, sizeof *event);
    memcpy(buffer->bytes + buffer->used + sizeof *event, data, event->size);
    buffer->used += size;
}

void event_push(Engine *engine, const Leg *leg, uint32_t kind, int64_t value, int64_t extra)
{
    MediaEvent event = {.kind = kind, .leg = leg->id, .value = value, .extra = extra};
    push(engine, &event, "", EVENTS_TOTAL);
}

void event_push_sound(Engine *engine, const Leg *leg, const int16_t *samples, int count)
{
    MediaEvent event = {.kind = EVENT_AUDIO, .size = (uint32_t)count * 2, .leg = leg->id};
    push(engine, &event, samples, EVENTS_FOR_SOUND);
}

bool event_push_datagram(Engine *engine, const Leg *leg, const uint8_t *data, size_t size, const Address *from)
{
    uint8_t bytes[sizeof from->v6.sin6_addr + PACKET_MAX];
    EventBuffer *buffer = &engine->events[engine->events_current];
    bool v6 = from->any.sa_family == AF_INET6;
    size_t host = v6 ? sizeof from->v6.sin6_addr : sizeof from->v4.sin_addr;
    MediaEvent event = {.kind = EVENT_DATAGRAM, .size = (uint32_t)(host + size), .leg = leg->id,
                        .value = address_port(from), .extra = (int64_t)host};
    size_t limit = EVENTS_FOR_SOUND + EVENTS_FOR_DATAGRAMS;
    if (buffer->datagrams + room_for(&event) > EVENTS_FOR_DATAGRAMS || buffer->used + room_for(&event) > limit)
        return false;
    if (v6)
        event.extra |= (int64_t)from->v6.sin6_scope_id << 8;
    memcpy(bytes, v6 ? (const void *)&from->v6.sin6_addr : (const void *)&from->v4.sin_addr, host);
    memcpy(bytes + host, data, size);
    push(engine, &event, bytes, limit);
    buffer->datagrams += room_for(&event);
    return true;
}

void events_signal(Engine *engine)
{
    if (engine->events_signalled || !engine->events[engine->events_current].used)
        return;
    uint64_t one = 1;
    engine->events_signalled = write(engine->event_fd, &one, sizeof one) == sizeof one;
}

size_t media_engine_events(Engine *engine, const uint8_t **out)
{
    uint64_t count;
    engine_lock(engine);
    /* Under the lock: a signal given between the read and the swap would be lost. */
    if (read(engine->event_fd, &count, sizeof count) < 0)
        count = 0;
    EventBuffer *full = &engine->events[engine->events_current];
    engine->events_current ^= 1;
    engine->events[engine->events_current].used = 0;
    engine->events[engine->events_current].datagrams = 0;
    engine->events_signalled = false;
    engine_unlock(engine);
    *out = full->bytes;
    return full->used;
}
