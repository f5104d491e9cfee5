/* The jitter buffer: sound in by its RTP timestamps, out as one even stream of samples.
 *
 * It is a ring of samples, so packets of any length fit. A packet that comes too late makes the buffer deeper at
 * once by repeating sound; when for some seconds every packet was early, a quiet moment is left out. Lost sound is
 * the last 20 ms again, quieter each time. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

enum {
    MISSING = INT16_MIN, /* a sample of this value becomes the next one */
    STEP = 80,           /* samples by which the depth shrinks */
    WINDOW = 5 * 8000,
    QUIET = 600,
};

static int16_t *at(Listener *listener, uint32_t timestamp) { return &listener->ring[timestamp & (RING - 1)]; }

static void empty(Listener *listener)
{
    for (int i = 0; i < RING; i++)
        listener->ring[i] = MISSING;
}

void listener_reset(Listener *listener)
{
    empty(listener);
    memset(listener->history, 0, sizeof listener->history);
    listener->history_at = 0;
    listener->running = false;
    listener->depth = DEPTH_START;
    listener->filled = 0;
    tone_start(&listener->tones);
}

static void judge_anew(Listener *listener)
{
    listener->least_margin = INT32_MAX;
    listener->window = WINDOW;
    listener->shrink = false;
}

static void begin_at(Listener *listener, uint32_t timestamp)
{
    empty(listener);
    listener->play = timestamp - (uint32_t)listener->depth;
    listener->running = true;
    judge_anew(listener);
}

void listener_put(Listener *listener, uint32_t timestamp, const int16_t *samples, int count)
{
    if (!listener->running)
        begin_at(listener, timestamp);
    int32_t margin = (int32_t)(timestamp - listener->play);
    /* Beyond what waiting can mend: the far end's timestamps have jumped. */
    if (margin < -DEPTH_MAX || margin > RING - DEPTH_MAX - count) {
        begin_at(listener, timestamp);
        margin = listener->depth;
    }
    if (margin < 0) {
        int32_t more = (-margin + STEP - 1) / STEP * STEP;
        if (more > DEPTH_MAX - listener->depth)
            more = DEPTH_MAX - listener->depth;
        listener->depth += more;
        listener->play -= (uint32_t)more;
        margin += more;
        judge_anew(listener);
    }
    if (margin < listener->least_margin)
        listener->least_margin = margin;
    for (int i = margin < 0 ? -margin : 0; i < count; i++)
        *at(listener, timestamp + (uint32_t)i) = samples[i] == MISSING ? MISSING + 1 : samples[i];
}

static void leave_out_if_quiet(Listener *listener)
{
    for (uint32_t i = 0; i < STEP; i++) {
        int16_t sample = *at(listener, listener->play + i);
        if (sample != MISSING && abs(sample) > QUIET)
            return;
    }
    for (uint32_t i = 0; i < STEP; i++)
        *at(listener, listener->play + i) = MISSING;
    listener->play += STEP;
    listener->depth -= STEP;
    judge_anew(listener);
}

void listener_take(Listener *listener, int16_t *out, int samples)
{
    if ((listener->window -= samples) <= 0) {
        bool shrink = listener->least_margin != INT32_MAX && listener->least_margin > DEPTH_MIN + STEP
                      && listener->depth > DEPTH_MIN;
        judge_anew(listener);
        listener->shrink = shrink;
    }
    if (listener->shrink)
        leave_out_if_quiet(listener);
    for (int i = 0; i < samples; i++) {
        int16_t *sample = at(listener, listener->play++), *old = &listener->history[listener->history_at];
        *old = *sample != MISSING ? *sample : (int16_t)(*old * 3 / 5);
        *sample = MISSING;
        out[i] = *old;
        listener->history_at = (listener->history_at + 1) % FRAME;
    }
}
