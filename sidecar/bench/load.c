// The callers: one UDP socket each, G.711 in packets of `ptime_ms`, and what comes back is timed. Calls take turns, a tenth
// of a packet apart. A frame, 20 ms, is one sample over and over, which says the frame's number: silence is none of them.
// Where callers are noisy the first half of a frame is noise, since what is always the same compresses too well.
//     load BOARD-DESCRIPTOR
#include "board.h"

enum { TURNS = 10, TAKEN = 8, HALF = FRAME_SAMPLES / 2, NOISE = 1 << 16 };

static struct board *board;
static int *sockets, samples, talking;  // samples: of a packet
static uint8_t noise[NOISE];

static struct {
    int64_t at;           // when the last packet came
    uint32_t timestamp;   // of that packet
    int heard;
} *last;

static void open_sockets(void) {
    for (uint32_t call = 0; call < board->calls; call++) {
        struct sockaddr_in address = loopback(0);
        socklen_t size = sizeof address;
        sockets[call] = socket(AF_INET, SOCK_DGRAM, 0);
        if (sockets[call] < 0 || bind(sockets[call], (void *)&address, size)) fail("the callers' sockets");
        want_arrivals(sockets[call]);
        getsockname(sockets[call], (void *)&address, &size);
        board->caller_port[call] = ntohs(address.sin_port);
    }
}

static void hear(uint32_t call, int64_t at, const uint8_t *packet) {
    uint32_t timestamp;
    memcpy(&timestamp, packet + 4, 4);
    timestamp = ntohl(timestamp);
    if (board->recording) {
        board->received++;
        if (last[call].heard) {
            int32_t missing = (int32_t)(timestamp - last[call].timestamp) - samples;
            if (missing > 0) board->lost_down += (missing + FRAME_SAMPLES - 1) / FRAME_SAMPLES;
            count(board->gaps, at - last[call].at);
        }
    }
    last[call].at = at;
    last[call].timestamp = timestamp;
    last[call].heard = board->recording;
}

static void take(uint32_t call) {
    static uint8_t packets[TAKEN][1024], control[TAKEN][64];
    static struct iovec parts[TAKEN];
    static struct mmsghdr messages[TAKEN];
    int came;
    do {
        for (int i = 0; i < TAKEN; i++) {
            parts[i] = (struct iovec){packets[i], sizeof packets[i]};
            messages[i].msg_hdr = (struct msghdr){
                .msg_iov = &parts[i], .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = sizeof control[i]};
        }
        came = recvmmsg(sockets[call], messages, TAKEN, MSG_DONTWAIT, 0);
        for (int i = 0; i < came; i++)
            if ((int)messages[i].msg_len == RTP_HEADER + samples) hear(call, arrival_ns(&messages[i].msg_hdr), packets[i]);
    } while (came == TAKEN);
}

static void say(uint32_t call, uint32_t number) {
    if ((uint32_t)random() % 1000 < board->loss_per_mille) {
        board->left_out += board->recording;
        return;
    }
    struct sockaddr_in target = loopback(board->target_port[call]);
    uint8_t packet[RTP_HEADER + MOST_SAMPLES] = {0x80, 0, number >> 8, number};
    uint32_t from = number * samples, timestamp = htonl(from), ssrc = htonl(call + 1);
    memcpy(packet + 4, &timestamp, 4);
    memcpy(packet + 8, &ssrc, 4);
    int64_t now = clock_ns(CLOCK_REALTIME);
    for (int at = 0; at < samples; at += HALF) {
        uint32_t half = (from + at) / HALF, frame = half / 2 % FRAMES;
        if (half % 2 == 0 && board->noisy)
            memcpy(packet + RTP_HEADER + at, noise + (call * 997 + half * HALF) % (NOISE - HALF), HALF);
        else
            memset(packet + RTP_HEADER + at, board->code[frame], HALF);
        if (half % 2 == 1) board->sent_at[call][frame] = now;  // it is whole
    }
    if (sendto(sockets[call], packet, RTP_HEADER + samples, 0, (void *)&target, sizeof target) < 0) board->faults++;
    if (board->recording) board->sent++;
}

int main(int count, char **argument) {
    board = open_board(argument[count - 1]);
    sockets = calloc(board->calls, sizeof *sockets);
    last = calloc(board->calls, sizeof *last);
    samples = board->ptime_ms * SAMPLES_MS;
    for (int i = 0; i < NOISE; i++) noise[i] = random();
    open_sockets();
    puts("ready");
    fflush(stdout);
    int64_t due = clock_ns(CLOCK_MONOTONIC);
    for (uint32_t number = 0;; number++) {
        if (number * samples % FRAME_SAMPLES == 0) talking = board->running;  // who begins does so with a whole frame
        for (uint32_t turn = 0; turn < TURNS; turn++, due += board->ptime_ms * 1000000LL / TURNS) {
            struct timespec until = {due / 1000000000, due % 1000000000};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0);
            for (uint32_t call = turn; call < board->calls; call += TURNS) {
                if (talking) say(call, number);
                take(call);
            }
        }
    }
}
