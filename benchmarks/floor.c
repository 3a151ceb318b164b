/*
 * The floor of the fan-out benchmark: the least that sending can cost. floor serve PORT FILE FPS VIEWERS sends each
 * message of the file (8 bytes of length, then the payload) to each viewer, with one send() and nothing else. floor read
 * PORT VIEWERS SETTLE SECONDS reads everything, and prints the bytes received in SECONDS, after SETTLE seconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in at(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

#define MOST_MESSAGES 10000

static char *messages[MOST_MESSAGES];
static size_t sizes[MOST_MESSAGES];

static int read_messages(const char *path) {
  FILE *file = fopen(path, "rb");
  uint64_t length; /* little-endian on the wire, and on the machines that this is for */
  int count = 0;
  while (file && count < MOST_MESSAGES && fread(&length, 8, 1, file) == 1) {
    messages[count] = malloc(8 + length);
    memcpy(messages[count], &length, 8);
    if (fread(messages[count] + 8, 1, length, file) != length) break;
    sizes[count++] = 8 + length;
  }
  return count;
}

struct viewer {
  int connection;
  const char *next; /* of a message that was begun */
  size_t left;
};

static int serve(int port, const char *path, double fps, int viewers) {
  int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, count = read_messages(path);
  struct sockaddr_in address = at(port);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (!count || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return 1;
  struct viewer *all = calloc(viewers, sizeof *all);
  for (struct viewer *viewer = all; viewer < all + viewers; viewer++) {
    viewer->connection = accept(listener, NULL, NULL);
    setsockopt(viewer->connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(viewer->connection, F_SETFL, O_NONBLOCK);
  }
  int number = 0;
  for (double next = now();; next += 1 / fps, number = (number + 1) % count) {
    double wait = next - now();
    if (wait > 0) usleep(wait * 1e6);
    else next -= wait; /* missed frames are not made up for */
    for (struct viewer *viewer = all; viewer < all + viewers; viewer++) {
      if (!viewer->left) {
        viewer->next = messages[number];
        viewer->left = sizes[number];
      }
      ssize_t sent = send(viewer->connection, viewer->next, viewer->left, MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) return 0;
      if (sent > 0) {
        viewer->next += sent;
        viewer->left -= sent;
      }
    }
  }
}

/* The number of bytes received in one round of waiting, of at most the given milliseconds. */
static long long read_some(int poll, int milliseconds) {
  static char buffer[1 << 20];
  struct epoll_event events[256];
  long long total = 0;
  int ready = epoll_wait(poll, events, 256, milliseconds);
  for (int i = 0; i < ready; i++) {
    ssize_t got = recv(events[i].data.fd, buffer, sizeof buffer, 0);
    if (got > 0) total += got;
  }
  return total;
}

static int watch(int port, int viewers, double settle, double seconds) {
  int poll = epoll_create1(0);
  for (int i = 0; i < viewers; i++) {
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = at(port);
    while (connect(connection, (struct sockaddr *)&address, sizeof address)) usleep(1000);
    fcntl(connection, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = connection};
    epoll_ctl(poll, EPOLL_CTL_ADD, connection, &event);
    read_some(poll, 1); /* so that no viewer has a queue when it begins, and no listen queue overflows */
  }
  for (double end = now() + settle; now() < end;) read_some(poll, 10);
  printf("settled\n");
  fflush(stdout);
  long long total = 0;
  for (double end = now() + seconds; now() < end;) total += read_some(poll, 10);
  printf("%lld\n", total);
  return 0;
}

int main(int count, char **words) {
  if (count == 6 && !strcmp(words[1], "serve"))
    return serve(atoi(words[2]), words[3], atof(words[4]), atoi(words[5]));
  if (count == 6 && !strcmp(words[1], "read"))
    return watch(atoi(words[2]), atoi(words[3]), atof(words[4]), atof(words[5]));
  return 2;
}
