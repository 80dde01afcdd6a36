// The bots: a WebSocket server that answers each message of audio with one of 20 ms for one channel.
//     bots BOARD-DESCRIPTOR ANSWER     ANSWER: echo, left (of stereo), silence
// A connection to ws://host:port/7 is the bot of call 7. It may be encrypted, wss://, and it may compress.
#include "board.h"
#include "bots_deflate.h"
#include "bots_tls.h"
#include <poll.h>

enum { MOST_DESCRIPTORS = 1 << 16, ROOM = 1 << 14, EVENTS = 512, STEADY = 6, HEADER = 4, CLIENT_HELLO = 0x16 };

struct bot {
    uint32_t call;
    struct tls *tls;
    struct deflating *deflating;
    int open, last, used;  // last: number of the last frame heard, or -1
    uint8_t data[ROOM];
};

static struct board *board;
static struct bot *bots[MOST_DESCRIPTORS];
static enum { ECHO, LEFT, SILENCE } answer;

// --- the handshake, RFC 6455, section 4.2.2

static void sha1_block(uint32_t h[5], const uint8_t *block) {
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 80; i++) {
        if (i < 16) {
            w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
        } else {
            uint32_t x = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
            w[i] = x << 1 | x >> 31;
        }
        uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 || i >= 60 ? b ^ c ^ d : (b & c) | (b & d) | (c & d);
        uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
        uint32_t t = (a << 5 | a >> 27) + f + e + k + w[i];
        e = d, d = c, c = b << 30 | b >> 2, b = a, a = t;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

static void accept_key(const char *key, char *out) {  // key: 24 characters; with the GUID 60 bytes, so two blocks
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t text[128] = {0}, hash[21] = {0};
    memcpy(text, key, 24);
    memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    text[60] = 0x80;
    text[126] = 480 >> 8, text[127] = 480 & 255;
    sha1_block(h, text);
    sha1_block(h, text + 64);
    for (int i = 0; i < 20; i++) hash[i] = h[i / 4] >> (24 - 8 * (i % 4));
    for (int i = 0; i < 28; i++) {
        int bit = 6 * i, two = hash[bit / 8] << 8 | (bit / 8 < 20 ? hash[bit / 8 + 1] : 0);
        out[i] = i < 27 ? digits[two >> (10 - bit % 8) & 63] : '=';
    }
}

static void drop(int fd, int is_fault) {
    if (is_fault) board->faults++;
    close_tls(bots[fd]->tls);
    close_deflating(bots[fd]->deflating);
    free(bots[fd]);
    bots[fd] = 0;
    close(fd);
}

static void send_sealed(int fd, struct tls *tls) {
    static uint8_t sealed[ROOM];
    for (int size; (size = BIO_read(tls->out, sealed, sizeof sealed)) > 0;) send(fd, sealed, size, MSG_NOSIGNAL);
}

// A message that finds no room at all is lost, since the sidecar does not read; one that is begun is finished.
static void say(int fd, const void *data, size_t size) {
    struct tls *tls = bots[fd]->tls;
    if (tls) {
        struct pollfd room = {.fd = fd, .events = POLLOUT};
        if (poll(&room, 1, 0) < 1) {
            board->lost_down += board->recording;
        } else {
            SSL_write(tls->ssl, data, size);
            send_sealed(fd, tls);
        }
        return;
    }
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN)
        board->lost_down += board->recording;
    else if (sent >= 0 && sent < (ssize_t)size)
        send(fd, (const char *)data + sent, size - sent, MSG_NOSIGNAL);
}

// Returns how many bytes the request had; 0: more is to come, -1: it is none.
static int shake_hands(int fd, struct bot *bot) {
    bot->data[bot->used < ROOM ? bot->used : ROOM - 1] = 0;
    char *text = (char *)bot->data, *end = strstr(text, "\r\n\r\n"), *key;
    if (!end) return 0;
    key = strcasestr(text, "\r\nSec-WebSocket-Key: ");
    if (sscanf(text, "GET /%u", &bot->call) != 1 || bot->call >= MOST_CALLS || !key || end - key < 45) return -1;
    char reply[256] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
    size_t size = strlen(reply);
    accept_key(key + 21, reply + size);
    strcpy(reply + size + 28, "\r\n");
    if (strcasestr(text, "permessage-deflate")) {
        bot->deflating = open_deflating();
        strcat(reply, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    }
    strcat(reply, "\r\n");
    say(fd, reply, strlen(reply));
    bot->open = 1;
    bot->last = -1;
    return end + 4 - text;
}

// --- messages

// What `size` bytes of audio say. Their end is looked at, where the filters have settled: they look back. A frame that
// the sidecar has made up for a lost one fades, and is none of the callers'.
static void measure(struct bot *bot, const uint8_t *audio, int size, int64_t at) {
    if (!board->recording) {
        bot->last = -1;
        return;
    }
    int16_t last, earlier;
    memcpy(&last, audio + size - (answer == LEFT ? 4 : 2), 2);
    memcpy(&earlier, audio + (size * 3 / 4 & ~3), 2);
    board->messages++;
    int number = board->frame_of_sample[(uint16_t)last];
    if (number < 0 || abs(last - earlier) > STEADY) return;
    count(board->uplink, at - board->sent_at[bot->call][number]);
    int missing = bot->last < 0 ? 0 : (number - bot->last - 1 + FRAMES) % FRAMES;
    if (missing < FRAMES / 2) board->lost_up += missing;
    bot->last = number;
}

static void unmask(uint8_t *out, const uint8_t *masked, const uint8_t *mask, int size) {
    uint64_t word, mask_word;
    memcpy(&mask_word, mask, 4);
    memcpy((uint8_t *)&mask_word + 4, mask, 4);
    for (int i = 0; i < size; i += 8) {
        memcpy(&word, masked + i, 8);
        word ^= mask_word;
        memcpy(out + i, &word, 8);
    }
}

// The bytes before the payload are for its header.
static void say_frame(int fd, int first, uint8_t *payload, int size) {
    uint8_t *frame = payload - (size < 126 ? 2 : 4);
    frame[0] = first, frame[1] = size < 126 ? size : 126;
    if (size >= 126) frame[2] = size >> 8, frame[3] = size;
    say(fd, frame, payload + size - frame);
}

// Returns whether it was a message of audio.
static int hear(int fd, struct bot *bot, const uint8_t *masked, const uint8_t *mask, int size, int packed, int64_t at) {
    static uint8_t plain[HEADER + ROOM], compressed[HEADER + ROOM];
    uint8_t *audio = plain + HEADER, *small = compressed + HEADER;
    unmask(packed ? small : audio, masked, mask, size);
    if (packed) size = bot->deflating ? inflated(bot->deflating, small, size, audio, ROOM) : -1;
    if (size < 8 || size % 4) return 0;
    measure(bot, audio, size, at);
    if (answer == LEFT) {
        size /= 2;
        for (int i = 0; i < size; i += 2) memcpy(audio + i, audio + 2 * i, 2);
    } else if (answer == SILENCE) {
        memset(audio, 0, size);
    }
    if (bot->deflating)
        say_frame(fd, 0xc2, small, deflated(bot->deflating, audio, size, small, ROOM));
    else
        say_frame(fd, 0x82, audio, size);
    return 1;
}

// Returns how many bytes were a frame; 0: more is to come, -1: the connection is over.
static int take_frame(int fd, struct bot *bot, uint8_t *data, int have, int64_t at) {
    if (have < 6) return 0;
    int size = data[1] & 127, header = size == 126 ? 8 : 6;
    if (size == 127 || data[1] < 128) return -1;
    if (have < header) return 0;
    if (size == 126) size = data[2] << 8 | data[3];
    if (header + size > ROOM - 16) return -1;
    if (have < header + size) return 0;
    uint8_t *mask = data + header - 4, *payload = data + header;
    if ((data[0] & 15) == 2) {
        if (!hear(fd, bot, payload, mask, size, data[0] & 0x40, at)) return -1;
    } else if ((data[0] & 15) >= 8 && size < 126) {
        uint8_t reply[128] = {(data[0] & 15) == 9 ? 0x8a : 0x88, size};
        for (int i = 0; i < size; i++) reply[2 + i] = payload[i] ^ mask[i & 3];
        if ((data[0] & 15) != 10) say(fd, reply, size + 2);
    }
    return header + size;
}

static void take_all(int fd, struct bot *bot, int64_t at) {
    int done = 0, size = 1;
    while (size > 0) {
        size = bot->open ? take_frame(fd, bot, bot->data + done, bot->used - done, at) : shake_hands(fd, bot);
        if (size < 0) return drop(fd, 1);
        done += size;
    }
    memmove(bot->data, bot->data + done, bot->used - done);
    bot->used -= done;
    if (bot->used >= ROOM - 16) drop(fd, 1);
}

static void take_sealed(int fd, struct bot *bot, const uint8_t *sealed, int size, int64_t at) {
    BIO_write(bot->tls->in, sealed, size);
    do {
        size = SSL_read(bot->tls->ssl, bot->data + bot->used, ROOM - 16 - bot->used);
        if (size > 0) bot->used += size, take_all(fd, bot, at);
    } while (size > 0 && bots[fd]);
    if (bots[fd]) send_sealed(fd, bot->tls);
}

static void on_readable(int fd) {
    struct bot *bot = bots[fd];
    static uint8_t came_in[ROOM];
    char control[64];
    struct iovec part = {came_in, ROOM - 16 - bot->used};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t came = recvmsg(fd, &message, 0);
    if (came <= 0) return drop(fd, 0);
    int64_t at = arrival_ns(&message);
    if (!bot->open && !bot->used && !bot->tls && came_in[0] == CLIENT_HELLO) bot->tls = open_tls();
    if (bot->tls) return take_sealed(fd, bot, came_in, came, at);
    memcpy(bot->data + bot->used, came_in, came);
    bot->used += came;
    take_all(fd, bot, at);
}

static void take_caller(int epoll, int listener) {
    int fd = accept(listener, 0, 0), on = 1;
    if (fd < 0) return;
    if (fd >= MOST_DESCRIPTORS) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    want_arrivals(fd);
    bots[fd] = calloc(1, sizeof *bots[fd]);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int main(int count, char **argument) {
    board = open_board(argument[count - 2]);
    answer = !strcmp(argument[count - 1], "left") ? LEFT : !strcmp(argument[count - 1], "silence") ? SILENCE : ECHO;
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
    if (bind(listener, (void *)&address, size) || listen(listener, MOST_CALLS)) fail("the bots' socket");
    getsockname(listener, (void *)&address, &size);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++)
            if (events[i].data.fd == listener)
                take_caller(epoll, listener);
            else
                on_readable(events[i].data.fd);
    }
}
