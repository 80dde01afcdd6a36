// The floor: the system calls of the sidecar's media on the same bytes, and nothing done in between. recvmmsg takes what
// has come, one send a message of 20 ms, one recv a bot that has answered, and sendmmsg every 5 ms for a quarter of the
// calls. It has one port, and neither encrypts nor compresses: what that costs is the sidecar's.
//     floor BOARD-DESCRIPTOR BOTS-PORT MESSAGE-BYTES
#include "board.h"

enum { BATCH = 1024, PHASES = 4, EVENTS = 1024, HEADER = 8 };

static struct board *board;
static int *bots, udp, epoll, message_bytes, call_of_port[1 << 16], ptime_ms, *heard_ms, *owed_ms;
static uint32_t *timestamps;
static uint8_t message[1 << 14], answer[1 << 16];

struct batch {
    uint8_t data[BATCH][2048];
    struct sockaddr_in address[BATCH];
    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH];
};
static struct batch in, out;

static void lay_out(struct batch *batch, size_t bytes) {
    for (int i = 0; i < BATCH; i++) {
        batch->parts[i] = (struct iovec){batch->data[i], bytes};
        batch->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &batch->address[i], .msg_namelen = sizeof batch->address[i],
            .msg_iov = &batch->parts[i], .msg_iovlen = 1};
    }
}

static void watch(int fd, int32_t call) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = call};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int connected(uint32_t call, int port) {
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    char request[256];
    int size = sprintf(request, "GET /%u HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", call);
    if (fd < 0 || connect(fd, (void *)&address, sizeof address)) fail("the floor's bots");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (send(fd, request, size, 0) != size || recv(fd, answer, sizeof answer, 0) <= 0) fail("the floor's handshake");
    watch(fd, call);
    return fd;
}

static void set_up(int bots_port) {
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int room = 8 << 20;
    udp = socket(AF_INET, SOCK_DGRAM, 0), epoll = epoll_create1(0);
    setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(udp, (void *)&address, size)) fail("the floor's socket");
    getsockname(udp, (void *)&address, &size);
    watch(udp, -1);
    lay_out(&in, sizeof in.data[0]);
    lay_out(&out, RTP_HEADER + ptime_ms * SAMPLES_MS);
    bots = calloc(board->calls, sizeof *bots);
    heard_ms = calloc(board->calls, sizeof *heard_ms);
    owed_ms = calloc(board->calls, sizeof *owed_ms);
    timestamps = calloc(board->calls, sizeof *timestamps);
    for (uint32_t call = 0; call < board->calls; call++) {
        bots[call] = connected(call, bots_port);
        call_of_port[board->caller_port[call]] = call + 1;
    }
    message[0] = 0x82, message[1] = 0x80 | 126;
    message[2] = (message_bytes - HEADER) >> 8, message[3] = message_bytes - HEADER;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
}

static void receive(void) {
    int came = recvmmsg(udp, in.messages, BATCH, MSG_DONTWAIT, 0);
    for (int i = 0; i < came; i++) {
        int call = call_of_port[ntohs(in.address[i].sin_port)] - 1;
        if (call < 0) continue;
        for (heard_ms[call] += ptime_ms; heard_ms[call] >= FRAME_MS; heard_ms[call] -= FRAME_MS)
            if (send(bots[call], message, message_bytes, MSG_DONTWAIT) != message_bytes) board->faults++;
    }
}

static void lay_packet(int packet, uint32_t call) {
    uint32_t big_endian = htonl(timestamps[call] += ptime_ms * SAMPLES_MS);
    out.data[packet][0] = 0x80;
    memcpy(out.data[packet] + 4, &big_endian, 4);
    out.address[packet] = loopback(board->caller_port[call]);
}

static void tick(int turn) {
    int packets = 0;
    for (uint32_t call = turn % PHASES; call < board->calls; call += PHASES)
        for (owed_ms[call] += FRAME_MS; owed_ms[call] >= ptime_ms; owed_ms[call] -= ptime_ms) {
            lay_packet(packets++, call);
            if (packets == BATCH) sendmmsg(udp, out.messages, packets, MSG_DONTWAIT), packets = 0;
        }
    if (packets) sendmmsg(udp, out.messages, packets, MSG_DONTWAIT);
}

int main(int count, char **argument) {
    board = open_board(argument[count - 3]);
    message_bytes = atoi(argument[count - 1]);
    ptime_ms = board->ptime_ms;
    set_up(atoi(argument[count - 2]));
    int64_t due = clock_ns(CLOCK_MONOTONIC);
    struct epoll_event events[EVENTS];
    for (int turn = 0;;) {
        int64_t wait = due - clock_ns(CLOCK_MONOTONIC);
        int ready = epoll_wait(epoll, events, EVENTS, wait > 0 ? (wait + 999999) / 1000000 : 0);
        for (int i = 0; i < ready; i++)
            if (events[i].data.fd < 0)
                receive();
            else
                recv(bots[events[i].data.fd], answer, sizeof answer, MSG_DONTWAIT);
        for (; clock_ns(CLOCK_MONOTONIC) >= due; due += FRAME_NS / PHASES) tick(turn++);
    }
}
