#!/usr/bin/env bash
# Makes docs/demo.pcap: half a minute of a small network, with real clients and
# servers in two network namespaces. Needs root, iproute2, tcpdump, dnsmasq,
# dig, curl, openssl, ping, nc and python3. The addresses are documentation
# addresses (RFC 5737, RFC 3849).
set -eu
out=$(realpath -m "${1:-docs/demo.pcap}")
work=$(mktemp -d)
a=demo-a-$$ b=demo-b-$$
cleanup() {
  jobs -p | xargs -r kill 2>/dev/null || true
  ip netns del "$a" 2>/dev/null || true
  ip netns del "$b" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

ip netns add "$a"
ip netns add "$b"
ip link add va netns "$a" type veth peer name vb netns "$b"
for n in "$a" "$b"; do ip -n "$n" link set lo up; done
ip -n "$a" addr add 192.0.2.10/24 dev va
ip -n "$a" addr add 192.0.2.11/24 dev va
ip -n "$a" addr add 2001:db8::10/64 dev va nodad
ip -n "$b" addr add 192.0.2.53/24 dev vb
ip -n "$b" addr add 192.0.2.80/24 dev vb
ip -n "$b" addr add 2001:db8::53/64 dev vb nodad
ip -n "$a" link set va up
ip -n "$b" link set vb up
# Checksums are filled in by the sender, as a capture on a tap would show them.
ip netns exec "$a" ethtool -K va tx off >/dev/null 2>&1 || true
ip netns exec "$b" ethtool -K vb tx off >/dev/null 2>&1 || true
client() { timeout 10 ip netns exec "$a" "$@" >/dev/null 2>&1 || true; }
server() { ip netns exec "$b" "$@" >/dev/null 2>&1 & }

mkdir "$work/www"
head -c 40000 /dev/zero | tr '\0' 'p' > "$work/www/picket.bin"
echo '<html><body>Picket</body></html>' > "$work/www/index.html"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key" -out "$work/cert" -days 30 \
  -subj '/CN=www.example.net' 2>/dev/null
server dnsmasq -k -p 53 --no-resolv --no-hosts --listen-address=192.0.2.53,2001:db8::53 --bind-interfaces \
  --pid-file="$work/pid" --user=root --address=/example.net/192.0.2.80 --address=/example.net/2001:db8::80 \
  --mx-host=example.net,mail.example.net,10 --txt-record=example.net,"v=spf1 -all" \
  --srv-host=_sip._tcp.example.net,sip.example.net,5060 --cname=alias.example.net,www.example.net \
  --ptr-record=80.2.0.192.in-addr.arpa,www.example.net --host-record=www.example.net,192.0.2.80
(cd "$work/www" && ip netns exec "$b" python3 -m http.server -b 192.0.2.80 80 >/dev/null 2>&1) &
server openssl s_server -quiet -accept 192.0.2.80:443 -cert "$work/cert" -key "$work/key" -www
sleep 1
ip netns exec "$a" tcpdump -q -s 0 -U -i va -w "$work/demo.pcap" 2>/dev/null &
sleep 1

for host in www mail ftp www alias; do
  client dig +tries=1 +time=2 @192.0.2.53 "$host.example.net" A
  client dig +tries=1 +time=2 @192.0.2.53 "$host.example.net" AAAA
done
for type in MX TXT NS SOA; do client dig +tries=1 +time=2 @192.0.2.53 example.net "$type"; done
client dig +tries=1 +time=2 @192.0.2.53 _sip._tcp.example.net SRV
client dig +tries=1 +time=2 @192.0.2.53 -x 192.0.2.80
client dig +tcp +tries=1 +time=2 @192.0.2.53 www.example.net
client dig +tries=1 +time=2 @2001:db8::53 www.example.net
client dig +tries=1 +time=2 @192.0.2.53 nowhere.invalid
for i in 1 2 3; do
  client curl -s -o /dev/null --resolve www.example.net:80:192.0.2.80 http://www.example.net/index.html
  client curl -s -o /dev/null --interface 192.0.2.11 --resolve www.example.net:80:192.0.2.80 http://www.example.net/picket.bin
  client curl -s -o /dev/null http://192.0.2.80/missing
  client curl -sk -o /dev/null --resolve www.example.net:443:192.0.2.80 https://www.example.net/
  sleep 2
done
client ping -c 3 -i 0.3 192.0.2.80
client ping -c 3 -i 0.3 2001:db8::53
client nc -w 1 192.0.2.80 25                 # refused
client nc -w 1 192.0.2.99 22                 # nobody there
client dig +tries=1 +time=1 @192.0.2.80 www.example.net   # port unreachable
printf 'hello' | client nc -u -w 1 192.0.2.80 9999
sleep 8
client curl -s -o /dev/null http://192.0.2.80/index.html
client dig +tries=1 +time=2 @192.0.2.53 last.example.net A
sleep 2
pkill -INT -f "tcpdump -q -s 0 -U -i va" || true
sleep 1
mkdir -p "$(dirname "$out")"
cp "$work/demo.pcap" "$out"
ls -l "$out"
