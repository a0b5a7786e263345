# A libzmq peer for tests: one JSON command per line on standard input, one JSON
# answer per line on standard output. Frames are base64.
import base64, json, sys, threading
import zmq

ctx = zmq.Context()
socks = {}


def b64(frames):
    return [base64.b64encode(f).decode() for f in frames]


def do(c):
    op, name = c["op"], c.get("id")
    if op == "socket":
        s = ctx.socket(getattr(zmq, c["type"]))
        s.linger = c.get("linger", 2000)
        for k, v in (c.get("opts") or {}).items():
            s.setsockopt(getattr(zmq, k), v.encode() if isinstance(v, str) else v)
        if "monitor" in c:
            socks[c["monitor"]] = s.get_monitor_socket()
        socks[name] = s
        return {}
    if op == "bind":
        socks[name].bind(c["endpoint"])
        return {"endpoint": socks[name].last_endpoint.decode().rstrip("\0")}
    if op == "connect":
        socks[name].connect(c["endpoint"])
        return {}
    if op == "disconnect":
        socks[name].disconnect(c["endpoint"])
        return {}
    if op == "subscribe":
        socks[name].setsockopt(zmq.SUBSCRIBE, base64.b64decode(c["topic"]))
        socks[name].poll(1)  # a new connection gets it only when the socket is used
        return {}
    if op == "unsubscribe":
        socks[name].setsockopt(zmq.UNSUBSCRIBE, base64.b64decode(c["topic"]))
        return {}
    if op == "send":
        for _ in range(c.get("times", 1)):
            socks[name].send_multipart([base64.b64decode(f) for f in c["frames"]])
        return {}
    if op == "try":  # to send without waiting
        try:
            socks[name].send_multipart([base64.b64decode(f) for f in c["frames"]], zmq.DONTWAIT)
            return {"sent": True}
        except zmq.Again:
            return {"sent": False}
    if op == "recv":
        s = socks[name]
        out = []
        while len(out) < c.get("count", 1):
            if not s.poll(c.get("timeout", 10000)):
                return {"messages": out, "timeout": True}
            out.append(b64(s.recv_multipart()))
        return {"messages": out}
    if op == "poke":
        socks[name].poll(1)
        return {}
    if op == "drain":  # how many messages come until it is quiet
        s, n, whole = socks[name], 0, True
        while s.poll(c.get("timeout", 500)):
            whole = whole and len(s.recv_multipart()) == c["parts"]
            n += 1
        return {"count": n, "whole": whole}
    if op == "close":
        socks.pop(name).close(c.get("linger"))
        return {}
    if op == "proxy":  # XPUB and XSUB as in a Zeek manager
        f, b = ctx.socket(zmq.XSUB), ctx.socket(zmq.XPUB)
        b.setsockopt(zmq.XPUB_VERBOSER, 1)
        b.setsockopt(zmq.XPUB_NODROP, 1)
        b.bind("tcp://127.0.0.1:*")
        f.bind("tcp://127.0.0.1:*")
        threading.Thread(target=zmq.proxy, args=(f, b), daemon=True).start()
        return {"xpub": b.last_endpoint.decode().rstrip("\0"), "xsub": f.last_endpoint.decode().rstrip("\0")}
    raise ValueError(op)


for line in sys.stdin:
    try:
        answer = do(json.loads(line))
    except Exception as e:
        answer = {"error": "%s: %s" % (type(e).__name__, e)}
    print(json.dumps(answer), flush=True)
import os
os._exit(0)
