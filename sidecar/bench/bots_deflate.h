// permessage-deflate (RFC 7692) for the bots: as bots do that take what is offered, they compress too, and remember what they
// have said before. zlib is loaded when the first of these connections comes; its headers nobody needs.
#pragma once
#include "bots_tls.h"

struct z_stream {  // as in zlib.h, for whose version 1 this is laid down
    const uint8_t *next_in;
    unsigned avail_in;
    unsigned long total_in;
    uint8_t *next_out;
    unsigned avail_out;
    unsigned long total_out;
    const char *msg;
    void *state, *zalloc, *zfree, *opaque;
    int data_type;
    unsigned long adler, reserved;
};

struct deflating {
    struct z_stream inflating, deflating;
};

static int (*deflateInit2_)(struct z_stream *, int, int, int, int, int, const char *, int);
static int (*inflateInit2_)(struct z_stream *, int, const char *, int);
static int (*z_deflate)(struct z_stream *, int), (*z_inflate)(struct z_stream *, int);
static int (*deflateEnd)(struct z_stream *), (*inflateEnd)(struct z_stream *);

enum { FASTEST = 1, DEFLATED = 8, RAW = -15, MEMORY = 8, SYNC = 2 };

static struct deflating *open_deflating(void) {
    static void *library;
    if (!library) {
        library = load_library("libz.so.1");
        deflateInit2_ = find(library, "deflateInit2_"), inflateInit2_ = find(library, "inflateInit2_");
        z_deflate = find(library, "deflate"), z_inflate = find(library, "inflate");
        deflateEnd = find(library, "deflateEnd"), inflateEnd = find(library, "inflateEnd");
    }
    struct deflating *both = calloc(1, sizeof *both);
    if (deflateInit2_(&both->deflating, FASTEST, DEFLATED, RAW, MEMORY, 0, "1", sizeof both->deflating)
        || inflateInit2_(&both->inflating, RAW, "1", sizeof both->inflating))
        fputs("the bots' zlib\n", stderr), exit(1);
    return both;
}

static void close_deflating(struct deflating *both) {
    if (!both) return;
    deflateEnd(&both->deflating), inflateEnd(&both->inflating);
    free(both);
}

// Each returns the size of what is in `out`, and -1 if that is too small, or the input is none.
static int inflated(struct deflating *both, uint8_t *data, int size, uint8_t *out, int room) {
    struct z_stream *stream = &both->inflating;
    memcpy(data + size, "\0\0\xff\xff", 4);
    stream->next_in = data, stream->avail_in = size + 4, stream->next_out = out, stream->avail_out = room;
    return z_inflate(stream, SYNC) || !stream->avail_out ? -1 : room - (int)stream->avail_out;
}

static int deflated(struct deflating *both, const uint8_t *data, int size, uint8_t *out, int room) {
    struct z_stream *stream = &both->deflating;
    stream->next_in = data, stream->avail_in = size, stream->next_out = out, stream->avail_out = room;
    return z_deflate(stream, SYNC) || !stream->avail_out ? -1 : room - (int)stream->avail_out - 4;
}
