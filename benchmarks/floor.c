/*
 * What nobody can go below: floor serve PORT BYTES FPS VIEWERS sends each viewer each message with one send() and no more;
 * floor read PORT VIEWERS SECONDS reads as much as comes, and prints the bytes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
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

static int serve(int port, int bytes, double fps, int viewers) {
  int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in address = at(port);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return 1;
  int *connections = calloc(viewers, sizeof(int)), *left = calloc(viewers, sizeof(int));
  for (int i = 0; i < viewers; i++) {
    connections[i] = accept(listener, NULL, NULL);
    setsockopt(connections[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(connections[i], F_SETFL, O_NONBLOCK);
  }
  char *message = malloc(bytes);
  memset(message, 7, bytes);
  for (double next = now();; next += 1 / fps) {
    double wait = next - now();
    if (wait > 0) usleep(wait * 1e6);
    else next -= wait; /* what was missed is not made up for */
    for (int i = 0; i < viewers; i++) {
      int todo = left[i] ? left[i] : bytes;
      ssize_t sent = send(connections[i], message + bytes - todo, todo, MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) return 0;
      left[i] = todo - (sent < 0 ? 0 : sent);
    }
  }
}

static int watch(int port, int viewers, double seconds) {
  int poll = epoll_create1(0);
  for (int i = 0; i < viewers; i++) {
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = at(port);
    while (connect(connection, (struct sockaddr *)&address, sizeof address)) usleep(1000);
    fcntl(connection, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = connection};
    epoll_ctl(poll, EPOLL_CTL_ADD, connection, &event);
    if (i % 50 == 49) usleep(20000);
  }
  printf("connected\n");
  fflush(stdout);
  static char buffer[1 << 20];
  long long total = 0;
  for (double end = now() + seconds; now() < end;) {
    struct epoll_event events[256];
    int ready = epoll_wait(poll, events, 256, 100);
    for (int i = 0; i < ready; i++) {
      ssize_t got = recv(events[i].data.fd, buffer, sizeof buffer, 0);
      if (got > 0) total += got;
    }
  }
  printf("%lld\n", total);
  return 0;
}

int main(int count, char **words) {
  if (count == 6 && !strcmp(words[1], "serve"))
    return serve(atoi(words[2]), atoi(words[3]), atof(words[4]), atoi(words[5]));
  if (count == 5 && !strcmp(words[1], "read")) return watch(atoi(words[2]), atoi(words[3]), atof(words[4]));
  return 2;
}
