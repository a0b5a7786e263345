/* A libzmq peer for e2e/bench-zmq.sh: one role, one measurement.
 *
 *   peer push ENDPOINT N        connect, send N messages
 *   peer pull ENDPOINT N        bind, receive N, print messages per second
 *   peer pub ENDPOINT N         connect to a broker's XSUB, wait for a subscriber, send N
 *   peer sub ENDPOINT N         connect to a broker's XPUB, receive N, print messages per second
 *   peer proxy XPUB XSUB        forward, until killed
 *   peer frames XSUB XPUB N     publish the message in $FRAMES N times, at most $WINDOW
 *                               ahead of the answers to bench.credit, one for 512
 *   peer batches ENDPOINT N     push the message in $FRAMES N times
 *
 * A file of frames has four, each behind its length in four bytes, big-endian. The
 * eight bytes from $COUNTER of the last one are the number of the message.
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

/* What $FRAMES holds. */
static unsigned char *frame[4];
static size_t frame_size[4];

static void read_frames(void)
{
	FILE *f = fopen(getenv("FRAMES"), "rb");
	must(f != NULL, "frames");
	for (int i = 0; i < 4; i++) {
		unsigned char n[4];
		must(fread(n, 1, 4, f) == 4, "length");
		frame_size[i] = (size_t)n[0] << 24 | n[1] << 16 | n[2] << 8 | n[3];
		frame[i] = malloc(frame_size[i]);
		must(frame[i] != NULL && fread(frame[i], 1, frame_size[i], f) == frame_size[i], "frame");
	}
	fclose(f);
}

static void send_frames(void *s, unsigned long number)
{
	size_t at = getenv("COUNTER") ? atol(getenv("COUNTER")) : 0;
	for (int i = 0; at && i < 8; i++)
		frame[3][at + i] = number >> (56 - 8 * i);
	for (int i = 0; i < 4; i++)
		must(zmq_send(s, frame[i], frame_size[i], i < 3 ? ZMQ_SNDMORE : 0) >= 0, "send");
}

/* publish_frames sends n messages once somebody wants their topic. */
static void publish_frames(void *pub, void *sub, long n)
{
	unsigned char want[300];
	long ahead = atol(getenv("WINDOW")), credit = 0;
	int wanted = 0, size;
	while (!wanted) {
		must((size = zmq_recv(pub, want, sizeof want, 0)) > 0, "subscription");
		wanted = want[0] == 1 && (size_t)size - 1 == frame_size[0] && !memcmp(want + 1, frame[0], frame_size[0]);
	}
	for (long i = 0; i < n || credit < n / 512 * 512; i += i < n) {
		while (i >= credit + ahead || (i == n && credit < n / 512 * 512)) {
			for (int part = 0; part < 4; part++)
				must(zmq_recv(sub, want, sizeof want, 0) >= 0, "credit");
			credit += 512;
		}
		if (i < n)
			send_frames(pub, i);
	}
}

int main(int argc, char **argv)
{
	void *ctx = zmq_ctx_new();
	int one = 1;
	must(argc == 4 || (argc == 5 && !strcmp(argv[1], "frames")), "arguments");
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
	} else if (!strcmp(argv[1], "frames")) {
		void *pub = open_socket(ctx, ZMQ_XPUB, 0), *sub = open_socket(ctx, ZMQ_SUB, 0);
		read_frames();
		zmq_setsockopt(pub, ZMQ_XPUB_NODROP, &one, sizeof one);
		must(zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "bench.credit", 12) == 0, "subscribe");
		must(zmq_connect(sub, argv[3]) == 0 && zmq_connect(pub, argv[2]) == 0, "connect");
		publish_frames(pub, sub, atol(argv[4]));
		zmq_close(pub);
		zmq_close(sub);
	} else if (!strcmp(argv[1], "batches")) {
		void *s = open_socket(ctx, ZMQ_PUSH, 0);
		read_frames();
		must(zmq_connect(s, argv[2]) == 0, "connect");
		for (long i = 0; i < atol(argv[3]); i++)
			send_frames(s, i);
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
