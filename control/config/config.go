// Package config is what the user writes: one TOML file, and the flags of
// picket up that stand for one.
//
// It turns text into a Config that is complete, checked and never changed
// afterwards. Mistakes are told all at once, each with file and line. It starts
// nothing and looks at no interface, port or folder; preflight does.
package config

import "time"

// Config is a cluster on one machine. Default gives every setting a value.
type Config struct {
	Cluster    Cluster     `toml:"cluster" json:"cluster" doc:"What runs, and where it keeps its things."`
	Interfaces []Interface `toml:"interface" json:"interface" doc:"One [[interface]] section per network interface to watch."`
	Capture    Capture     `toml:"capture" json:"capture" doc:"How packets are taken, on all interfaces."`
	Logs       Logs        `toml:"logs" json:"logs" doc:"Which logs are written, and how."`
	Files      Files       `toml:"files" json:"files" doc:"What is done with the content of files that protocols carry."`
	TLS        TLS         `toml:"tls" json:"tls" doc:"How TLS and its certificates are logged, also inside QUIC and other protocols."`
	Bus        Bus         `toml:"bus" json:"bus" doc:"What the nodes talk over."`
	Zeek       []Zeek      `toml:"zeek" json:"zeek" doc:"One [[zeek]] section per node that is a real Zeek process. It is in the layout, and picket does not start it. docs/howto/real-zeek.md"`
	Supervisor Supervisor  `toml:"supervisor" json:"supervisor" doc:"How nodes are kept alive."`
	API        API         `toml:"api" json:"api" doc:"The doors through which programs outside meet the cluster."`
	Metrics    Metrics     `toml:"metrics" json:"metrics" doc:"What Prometheus scrapes: docs/howto/monitor-a-cluster.md"`
}

// Cluster is the section of that name.
type Cluster struct {
	Name    string `toml:"name" json:"name" doc:"Name of the cluster. Clusters of different names on one bus do not hear each other."`
	Spool   string `toml:"spool" json:"spool" doc:"Folder of the nodes' working folders, the state and the control socket. Relative paths in this file count from the file's folder."`
	Workers int    `toml:"workers" json:"workers" doc:"Workers in all, shared out over the interfaces that do not say their own number. 0: one per CPU, at least one per interface."`
	Loggers int    `toml:"loggers" json:"loggers" doc:"Loggers. Workers hand batches to them in turn; with several, each writes files of its own."`
	Proxies int    `toml:"proxies" json:"proxies" doc:"Proxies. They own what workers must know of each other."`
}

// Interface is one [[interface]] section.
type Interface struct {
	Name    string `toml:"name" json:"name" doc:"Network interface; af_packet::eth0 means the same as eth0."`
	Workers int    `toml:"workers" json:"workers" doc:"Workers for this interface. 0: its part of cluster.workers."`
	Filter  string `toml:"filter" json:"filter" doc:"tcpdump expression; packets that do not match are not looked at. Empty: capture.filter."`
	Pin     CPUs   `toml:"pin" json:"pin" doc:"CPUs for its workers, as \"2-5,8\": the first worker runs on the first, and so on, over again. Empty: anywhere."`
}

// Capture is the section of that name.
type Capture struct {
	Checksums bool     `toml:"checksums" json:"checksums" doc:"Ignore packets with bad checksums, as Zeek does. Set to false where the network card fills checksums in after capture."`
	Filter    string   `toml:"filter" json:"filter" doc:"tcpdump expression for all interfaces that have none of their own."`
	Ring      Size     `toml:"ring" json:"ring" doc:"Memory of one worker's capture ring. It covers for a worker that is busy; what does not fit is dropped and counted."`
	LocalNets []string `toml:"local_nets" json:"local_nets" doc:"Networks that count as local, as in [\"10.0.0.0/8\", \"2001:db8::/32\"]."`
	Seed      string   `toml:"seed" json:"seed" doc:"Key of the UIDs, so that the same packets get the same UIDs each time. Empty: by chance at each start."`
}

// Logs is the section of that name.
type Logs struct {
	Dir         string   `toml:"dir" json:"dir" doc:"Folder where logs grow."`
	Archive     string   `toml:"archive" json:"archive" doc:"Folder where rotated logs go. Empty: they stay in dir."`
	Format      string   `toml:"format" json:"format" doc:"tsv (Zeek's own) or json."`
	Rotate      Duration `toml:"rotate" json:"rotate" doc:"How long a log grows before it is put aside under its archive name. 0s: never."`
	RotateAt    string   `toml:"rotate_at" json:"rotate_at" doc:"Time of day, as \"00:00\", from which the intervals count."`
	Stats       bool     `toml:"stats" json:"stats" doc:"Write stats.log."`
	CaptureLoss bool     `toml:"capture_loss" json:"capture_loss" doc:"Write capture_loss.log."`
}

// Files is the section of that name.
type Files struct {
	Hash    []string `toml:"hash" json:"hash" doc:"Hashes of every file, shown in files.log: md5, sha1, sha256."`
	Extract []string `toml:"extract" json:"extract" doc:"Types of files that are written to disk, as in [\"application/x-dosexec\"]; [\"*\"] for all. Types are those that files.log shows."`
	Dir     string   `toml:"dir" json:"dir" doc:"Folder where they go."`
	Limit   Size     `toml:"limit" json:"limit" doc:"A file that is longer is cut there."`
	Total   Size     `toml:"total" json:"total" doc:"What one worker writes from its start on; then it writes no more."`
}

// TLS is the section of that name.
type TLS struct {
	Fingerprints     bool     `toml:"fingerprints" json:"fingerprints" doc:"Columns ja3, ja3s and ja4 in ssl.log: what clients and servers look like by their hellos. Not with a real Zeek logger, which does not know the columns."`
	HostCertificates bool     `toml:"host_certificates" json:"host_certificates" doc:"Only the certificates of hosts themselves in x509.log, without the authorities behind them, as Zeek's policy script log-hostcerts-only does."`
	LogAgain         Duration `toml:"log_again" json:"log_again" doc:"How long a certificate is not logged again, in the whole cluster (Zeek's X509::relog_known_certificates_after). 0s: it is logged each time."`
}

// Bus is the section of that name.
type Bus struct {
	Backend   string `toml:"backend" json:"backend" doc:"nats, or zeromq: what carries events and logs between the nodes."`
	URL       string `toml:"url" json:"url" doc:"An existing NATS server or cluster, as nats://host:4222 or tls://host:4222. Empty: picket runs a hub of its own, on this machine only, with a password made anew at each start."`
	Port      int    `toml:"port" json:"port" doc:"Port of our own hub, on 127.0.0.1. 0: a free one."`
	User      string `toml:"user" json:"user" doc:"User at an existing server."`
	TokenFile string `toml:"token_file" json:"token_file" doc:"File that holds the user's password, and nothing else."`
	CA        string `toml:"ca" json:"ca" doc:"PEM file with the certificate authority of a tls:// server."`
	Cert      string `toml:"cert" json:"cert" doc:"PEM file with our certificate for a tls:// server."`
	Key       string `toml:"key" json:"key" doc:"PEM file with the key of cert."`
	Codec     string `toml:"codec" json:"codec" doc:"Format of events, the same for all nodes: broker-bin-v1 or broker-json-v1."`
	ZeroMQ    ZeroMQ `toml:"zeromq" json:"zeromq" doc:"Where real Zeek processes connect, whichever backend the cluster has."`
}

// ZeroMQ is the section [bus.zeromq].
type ZeroMQ struct {
	XPUB     string `toml:"xpub" json:"xpub" doc:"Where real Zeek nodes receive events (their connect_xsub_endpoint), as tcp://127.0.0.1:5555. Empty, as xsub: none can connect."`
	XSUB     string `toml:"xsub" json:"xsub" doc:"Where they publish events (their connect_xpub_endpoint), as tcp://127.0.0.1:5556."`
	Address  string `toml:"address" json:"address" doc:"Address of this machine in cluster-layout.zeek: where real Zeek workers find the loggers."`
	Port     int    `toml:"port" json:"port" doc:"First port in cluster-layout.zeek; loggers count on from it."`
	CurveDir string `toml:"curve_dir" json:"curve_dir" doc:"Folder with the keys server_publickey, server_secretkey, client_publickey and client_secretkey, as zeekctl keeps them and picket broker --new-keys makes them. Empty: no encryption, which is taken on loopback only."`
}

// Zeek is one [[zeek]] section.
type Zeek struct {
	Name    string `toml:"name" json:"name" doc:"Name of the node, its CLUSTER_NODE."`
	Role    string `toml:"role" json:"role" doc:"worker, proxy or logger."`
	Address string `toml:"address" json:"address" doc:"Its address."`
	Port    int    `toml:"port" json:"port" doc:"Where a logger takes log batches."`
	Version string `toml:"version" json:"version" doc:"A logger's version, 8.1, 8.2 or 9.0 (the default): it is sent the logs only that have its columns, and picket's own loggers write the others."`
	Scripts string `toml:"scripts" json:"scripts" doc:"What a logger loads: local (the default), which is local.zeek as delivered, or default, which is no more than Zeek's default scripts."`
}

// Supervisor is the section of that name.
type Supervisor struct {
	StartTimeout Duration `toml:"start_timeout" json:"start_timeout" doc:"A node that is not ready by then is named, and the others go on."`
	StopTimeout  Duration `toml:"stop_timeout" json:"stop_timeout" doc:"A node that has not drained and ended by then is killed, and named."`
	HangAfter    Duration `toml:"hang_after" json:"hang_after" doc:"A node whose heartbeat is older is shown as hanging. It is not killed."`
	RestartFirst Duration `toml:"restart_first" json:"restart_first" doc:"A node that dies starts again at once; the second time in a row after this, then twice this, and so on."`
	RestartMax   Duration `toml:"restart_max" json:"restart_max" doc:"The longest wait before a restart."`
	HealthyAfter Duration `toml:"healthy_after" json:"healthy_after" doc:"A node that was ready this long starts counting its failures from new."`
	OutputSize   Size     `toml:"output_size" json:"output_size" doc:"A node's stdout.log or stderr.log that grows beyond this is cut to its second half."`
	OutputLives  int      `toml:"output_lives" json:"output_lives" doc:"How many earlier lives of a node keep their output."`
	Memory       Size     `toml:"memory" json:"memory" doc:"Memory that one node stays below, beside its ring: a worker gives up connections that are silent for long, writes their rows early and counts them (flow.shed). 0: none."`
}

// API is the sections whose names begin with it.
type API struct {
	WebSocket WebSocket `toml:"websocket" json:"websocket" doc:"Zeek's WebSocket API: programs get and publish events. docs/howto/use-the-websocket-api.md"`
	Control   Control   `toml:"control" json:"control" doc:"Who may operate the cluster from elsewhere, or from a web page: picket status, top, logs, restart and stop with --url. docs/howto/operate-from-elsewhere.md"`
	Web       Web       `toml:"web" json:"web" doc:"The dashboard: a page that shows how the cluster is. docs/howto/use-the-dashboard.md"`
}

// Control is the section [api.control].
type Control struct {
	ACL      string   `toml:"acl" json:"acl" doc:"File that says who may read and who may operate, by token or certificate; the dashboard goes by it, too. Empty: only the owner of the spool operates, on this machine."`
	Listen   string   `toml:"listen" json:"listen" doc:"Address and port; the hub holds it, or the manager where there is no hub of ours. It needs acl, cert and key. Empty: nobody operates from elsewhere."`
	Cert     string   `toml:"cert" json:"cert" doc:"PEM file with the server's certificate."`
	Key      string   `toml:"key" json:"key" doc:"PEM file with the key of cert."`
	ClientCA string   `toml:"client_ca" json:"client_ca" doc:"PEM file with the authority whose client certificates are taken in place of tokens."`
	Group    string   `toml:"group" json:"group" doc:"On this machine, a group whose members may restart nodes and stop the cluster by the control socket, as the owner of the spool may. Empty: the owner alone."`
	Origins  []string `toml:"origins" json:"origins" doc:"Origins of web pages that may ask, as [\"https://soc.example\"]. Others are refused."`
}

// Web is the section [api.web].
type Web struct {
	Listen   string   `toml:"listen" json:"listen" doc:"Address and port; the hub serves it, or the manager where there is no hub of ours. Beyond loopback, cert and key are needed, and acl in [api.control]; with that, who has the role operate restarts nodes. Port 0: 27780 if it is free, else any, kept over restarts and shown by picket status. Empty: no dashboard."`
	Cert     string   `toml:"cert" json:"cert" doc:"PEM file with the server's certificate, for https://."`
	Key      string   `toml:"key" json:"key" doc:"PEM file with the key of cert."`
	ClientCA string   `toml:"client_ca" json:"client_ca" doc:"PEM file with the authority whose client certificates are taken in place of tokens."`
	Hosts    []string `toml:"hosts" json:"hosts" doc:"On loopback: names under which this machine may be asked for, besides localhost."`
}

// WebSocket is the section [api.websocket].
type WebSocket struct {
	Listen        string   `toml:"listen" json:"listen" doc:"Address and port. Beyond loopback, acl, cert and key are needed. Empty: no WebSocket API."`
	Node          string   `toml:"node" json:"node" doc:"The node that holds it, or hub."`
	Cert          string   `toml:"cert" json:"cert" doc:"PEM file with the server's certificate, for wss://."`
	Key           string   `toml:"key" json:"key" doc:"PEM file with the key of cert."`
	ClientCA      string   `toml:"client_ca" json:"client_ca" doc:"PEM file with the authority whose client certificates are taken in place of tokens."`
	ACL           string   `toml:"acl" json:"acl" doc:"File that says who may subscribe and publish what. Empty: whoever reaches loopback may do everything."`
	Hosts         []string `toml:"hosts" json:"hosts" doc:"On loopback: names under which this machine may be asked for, besides localhost."`
	Origins       []string `toml:"origins" json:"origins" doc:"Origins of web pages that may connect, as [\"https://soc.example\"]. Others are refused."`
	Declarations  []string `toml:"declarations" json:"declarations" doc:"Zeek scripts that declare events. What a client sends is checked against them, and /v2 shows records by field name."`
	DeclaredOnly  bool     `toml:"declared_only" json:"declared_only" doc:"Refuse events that are not declared, as Zeek does."`
	Ping          Duration `toml:"ping" json:"ping" doc:"How often clients are pinged. Who has not answered by the next one is closed. 0s: never."`
	Message       Size     `toml:"message" json:"message" doc:"Largest message of a client."`
	Rate          int      `toml:"rate" json:"rate" doc:"Messages per second of one client, above which it is slowed. 0: any."`
	Subscriptions int      `toml:"subscriptions" json:"subscriptions" doc:"Topics of one client."`
	Connections   int      `toml:"connections" json:"connections" doc:"Clients at a time."`
	Handshakes    int      `toml:"handshakes" json:"handshakes" doc:"Connections at a time that have not become clients; beyond it the oldest gives way."`
	Queue         Size     `toml:"queue" json:"queue" doc:"What may wait for one client. A client that leaves more unread is closed."`
}

// Metrics is the section of that name.
type Metrics struct {
	Listen string `toml:"listen" json:"listen" doc:"Address and port of the endpoint that carries all nodes of this machine; the hub serves it, or the manager where there is no hub of ours. It asks for no password: let it listen beyond loopback only where everybody may read it. Port 0: a free one, kept over restarts and noted in spool/hub/door.metrics.json. Empty: none."`
	Nodes  bool   `toml:"nodes" json:"nodes" doc:"Each node serves its own metrics on 127.0.0.1, too; /services.json lists where."`
	Ports  int    `toml:"ports" json:"ports" doc:"Port of the manager's own endpoint; loggers, proxies and workers have the ports after it, as in Zeek's layouts. 0: free ones, kept over restarts."`
}

// Default is every setting's value where the user says nothing.
func Default() Config {
	return Config{
		Cluster: Cluster{Name: "picket", Spool: "spool", Loggers: 1, Proxies: 1},
		Capture: Capture{Checksums: true, Ring: 32 << 20},
		Logs:    Logs{Dir: "logs", Format: "tsv", Rotate: Duration(time.Hour), RotateAt: "00:00"},
		TLS:     TLS{LogAgain: Duration(24 * time.Hour)},
		Files:   Files{Dir: "extract_files", Limit: 100 << 20, Total: 10 << 30},
		Bus: Bus{
			Backend: "nats", Codec: "broker-bin-v1",
			ZeroMQ: ZeroMQ{Address: "127.0.0.1", Port: 27760},
		},
		Supervisor: Supervisor{
			StartTimeout: Duration(30 * time.Second), StopTimeout: Duration(15 * time.Second), HangAfter: Duration(10 * time.Second),
			RestartFirst: Duration(time.Second), RestartMax: Duration(time.Minute), HealthyAfter: Duration(time.Minute),
			OutputSize: 16 << 20, OutputLives: 3,
		},
		API: API{WebSocket: WebSocket{
			Listen: "127.0.0.1:27759", Node: "manager", Ping: Duration(5 * time.Second), Message: 4 << 20,
			Subscriptions: 1000, Connections: 1024, Handshakes: 64, Queue: 4 << 20,
		}, Web: Web{Listen: "127.0.0.1:0"}},
		Metrics: Metrics{Listen: "127.0.0.1:0", Nodes: true},
	}
}
