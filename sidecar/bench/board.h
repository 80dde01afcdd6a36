// The board: memory that the programs of the bench share with the command that runs them. board.py has the same fields.
#pragma once
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CALLS = 4096, FRAMES = 250, BINS = 100000, BIN_NS = 10000, RTP_HEADER = 12, FRAME_MS = 20, FRAME_NS = 20000000 };
enum { SAMPLES_MS = 8, FRAME_SAMPLES = FRAME_MS * SAMPLES_MS, MOST_SAMPLES = 60 * SAMPLES_MS };  // of G.711: a byte each

struct board {
    int64_t sent_at[MOST_CALLS][FRAMES];  // when each call's newest frame of each number was sent, ns of the wall clock
    uint64_t sent, received;              // packets of the callers
    uint64_t messages;                    // audio of the bots
    uint64_t lost_up, lost_down;          // frames that never came
    uint64_t left_out;                    // packets that callers have not sent, as a network loses them
    uint64_t faults;                      // what the bench itself could not do: then its figures are worth nothing
    uint32_t uplink[BINS], gaps[BINS];    // histograms, the last bin holds all that is longer
    _Atomic uint32_t running, recording;  // callers talk; what happens is counted
    uint32_t calls, loss_per_mille;
    uint32_t ptime_ms, noisy;             // how long a packet is; half of what callers say is noise
    int16_t frame_of_sample[1 << 16];     // by the unsigned bits of a sample: the number of its frame, or -1
    uint16_t caller_port[MOST_CALLS], target_port[MOST_CALLS];
    uint8_t code[FRAMES];                 // what a caller's frame of each number is made of
};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static struct board *open_board(const char *descriptor) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct stat stat;
    int fd = atoi(descriptor);
    if (fstat(fd, &stat) || stat.st_size != sizeof(struct board)) {
        fprintf(stderr, "the board has %zu bytes here\n", sizeof(struct board));
        exit(1);
    }
    void *board = mmap(0, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (board == MAP_FAILED) fail("mmap");
    return board;
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline void count(uint32_t *bins, int64_t ns) {
    int64_t bin = ns < 0 ? 0 : ns / BIN_NS;
    bins[bin < BINS ? bin : BINS - 1]++;
}

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

// When the kernel took a packet or a piece of a stream, ns of the wall clock: so it does not matter when we come to
// read it. Now, where the kernel does not tell.
static inline int64_t arrival_ns(struct msghdr *message) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(c), sizeof at);
            return at.tv_sec * 1000000000LL + at.tv_nsec;
        }
    return clock_ns(CLOCK_REALTIME);
}

static inline void want_arrivals(int fd) {
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
}
