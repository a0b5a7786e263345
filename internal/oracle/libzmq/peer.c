/* A libzmq peer for e2e/bench-zmq.sh: one role, one measurement.
 *
 *   peer push ENDPOINT N        connect, send N messages
 *   peer pull ENDPOINT N        bind, receive N, print messages per second
 *   peer pub ENDPOINT N         connect to a broker's XSUB, wait for a subscriber, send N
 *   peer sub ENDPOINT N         connect to a broker's XPUB, receive N, print messages per second
 *   peer proxy XPUB XSUB        forward, until killed
 *
 * A message has four frames, 200 bytes in all, like an event of Zeek. With the
 * variables SERVER_PUBLIC, SERVER_SECRET, CLIENT_PUBLIC and CLIENT_SECRET (Z85)
 * connections are encrypted; who binds is the server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

static void must(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
		exit(1);
	}
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void *open_socket(void *ctx, int type, int server)
{
	void *s = zmq_socket(ctx, type);
	int one = 1, linger = -1;
	must(s != NULL, "socket");
	zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof linger);
	if (getenv("SERVER_PUBLIC")) {
		if (server) {
			zmq_setsockopt(s, ZMQ_CURVE_SERVER, &one, sizeof one);
			must(zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, getenv("SERVER_SECRET"), 41) == 0, "key");
		} else {
			must(zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, getenv("SERVER_PUBLIC"), 41) == 0, "key");
			must(zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, getenv("CLIENT_PUBLIC"), 41) == 0, "key");
			must(zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, getenv("CLIENT_SECRET"), 41) == 0, "key");
		}
	}
	return s;
}

static void send_all(void *s, long n)
{
	char topic[20] = "zeek.cluster.manager", id[40], codec[13] = "broker-bin-v1", payload[127];
	memset(id, 'i', sizeof id);
	memset(payload, 'p', sizeof payload);
	for (long i = 0; i < n; i++) {
		must(zmq_send(s, topic, sizeof topic, ZMQ_SNDMORE) >= 0, "send");
		must(zmq_send(s, id, sizeof id, ZMQ_SNDMORE) >= 0, "send");
		must(zmq_send(s, codec, sizeof codec, ZMQ_SNDMORE) >= 0, "send");
		must(zmq_send(s, payload, sizeof payload, 0) >= 0, "send");
	}
}

static void receive_all(void *s, long n)
{
	double first = 0;
	for (long i = 0; i < n; i++) {
		int parts = 0, more = 1, bytes = 0;
		while (more) {
			zmq_msg_t m;
			zmq_msg_init(&m);
			must(zmq_msg_recv(&m, s, 0) >= 0, "receive");
			bytes += zmq_msg_size(&m);
			more = zmq_msg_more(&m);
			zmq_msg_close(&m);
			parts++;
		}
		must(parts == 4 && bytes == 200, "message of another shape");
		if (i == 0)
			first = now();
	}
	printf("%.0f\n", (n - 1) / (now() - first));
}

int main(int argc, char **argv)
{
	void *ctx = zmq_ctx_new();
	int one = 1;
	must(argc == 4, "arguments");
	if (!strcmp(argv[1], "push")) {
		void *s = open_socket(ctx, ZMQ_PUSH, 0);
		must(zmq_connect(s, argv[2]) == 0, "connect");
		send_all(s, atol(argv[3]));
		zmq_close(s);
	} else if (!strcmp(argv[1], "pull")) {
		void *s = open_socket(ctx, ZMQ_PULL, 1);
		must(zmq_bind(s, argv[2]) == 0, "bind");
		receive_all(s, atol(argv[3]));
		zmq_close(s);
	} else if (!strcmp(argv[1], "pub")) {
		void *s = open_socket(ctx, ZMQ_XPUB, 0);
		char sub[100];
		zmq_setsockopt(s, ZMQ_XPUB_NODROP, &one, sizeof one);
		must(zmq_connect(s, argv[2]) == 0, "connect");
		must(zmq_recv(s, sub, sizeof sub, 0) > 0, "subscription");
		send_all(s, atol(argv[3]));
		zmq_close(s);
	} else if (!strcmp(argv[1], "sub")) {
		void *s = open_socket(ctx, ZMQ_SUB, 0);
		must(zmq_setsockopt(s, ZMQ_SUBSCRIBE, "zeek.", 5) == 0, "subscribe");
		must(zmq_connect(s, argv[2]) == 0, "connect");
		receive_all(s, atol(argv[3]));
		zmq_close(s);
	} else if (!strcmp(argv[1], "proxy")) {
		int threads = 2;
		zmq_ctx_set(ctx, ZMQ_IO_THREADS, threads); /* as Zeek's */
		void *xpub = open_socket(ctx, ZMQ_XPUB, 1), *xsub = open_socket(ctx, ZMQ_XSUB, 1);
		zmq_setsockopt(xpub, ZMQ_XPUB_VERBOSER, &one, sizeof one);
		zmq_setsockopt(xpub, ZMQ_XPUB_NODROP, &one, sizeof one);
		must(zmq_bind(xpub, argv[2]) == 0, "bind");
		must(zmq_bind(xsub, argv[3]) == 0, "bind");
		zmq_proxy(xsub, xpub, NULL);
	}
	zmq_ctx_term(ctx);
	return 0;
}
