// The callers: one UDP socket each, G.711 on the grid of 20 ms, and what comes back is timed. Calls take turns, 2 ms
// apart. A frame is one sample over and over, which says the frame's number: silence is none of them.
//     load BOARD-DESCRIPTOR
#include "board.h"

enum { TURNS = 10, TAKEN = 8 };

static struct board *board;
static int *sockets;

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
            int32_t frames = (int32_t)(timestamp - last[call].timestamp) / 160;
            if (frames > 1) board->lost_down += frames - 1;
            count(board->gaps, at - last[call].at);
        }
    }
    last[call].at = at;
    last[call].timestamp = timestamp;
    last[call].heard = board->recording;
}

static void take(uint32_t call) {
    static uint8_t packets[TAKEN][256], control[TAKEN][64];
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
            if (messages[i].msg_len == RTP_BYTES) hear(call, arrival_ns(&messages[i].msg_hdr), packets[i]);
    } while (came == TAKEN);
}

static void say(uint32_t call, uint32_t number) {
    if ((uint32_t)random() % 1000 < board->loss_per_mille) {
        board->left_out += board->recording;
        return;
    }
    struct sockaddr_in target = loopback(board->target_port[call]);
    uint8_t packet[RTP_BYTES] = {0x80, 0, number >> 8, number};
    uint32_t timestamp = htonl(number * 160), ssrc = htonl(call + 1);
    memcpy(packet + 4, &timestamp, 4);
    memcpy(packet + 8, &ssrc, 4);
    memset(packet + 12, board->code[number % FRAMES], 160);
    board->sent_at[call][number % FRAMES] = clock_ns(CLOCK_REALTIME);
    if (sendto(sockets[call], packet, sizeof packet, 0, (void *)&target, sizeof target) < 0) board->faults++;
    if (board->recording) board->sent++;
}

int main(int count, char **argument) {
    board = open_board(argument[count - 1]);
    sockets = calloc(board->calls, sizeof *sockets);
    last = calloc(board->calls, sizeof *last);
    open_sockets();
    puts("ready");
    fflush(stdout);
    int64_t due = clock_ns(CLOCK_MONOTONIC);
    for (uint32_t number = 0;; number++)
        for (uint32_t turn = 0; turn < TURNS; turn++, due += FRAME_NS / TURNS) {
            struct timespec until = {due / 1000000000, due % 1000000000};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0);
            for (uint32_t call = turn; call < board->calls; call += TURNS) {
                if (board->running) say(call, number);
                take(call);
            }
        }
}
