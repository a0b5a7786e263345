package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/nats"
	"github.com/picket-nsm/picket/bus/backend/zeromq"
	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/bus/codec/brokerjson"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/zeek/layout"
)

// watch tells the cluster of nodes whose connection to the bus has ended, so
// that nobody needs to wait for their silence. For that the hub is a member of
// the cluster itself, one without a role.
type watch struct {
	gone chan string // node ids; a full queue forgets: silence tells as well
}

// left is called by the server with the name of a connection that ended.
func (w *watch) left(connection string) {
	if id, events := nats.Node(connection); events {
		select {
		case w.gone <- id:
		default:
		}
	}
}

// connect makes an end of the bus for the hub itself.
func connect(spec node.Spec, url, id string, d Deps) (backend.Driver, error) {
	if z := spec.Bus.ZeroMQ; spec.Bus.Backend == node.BackendZeroMQ {
		return zeromq.New(zeromq.Config{ID: id, ConnectXSUB: z.XPUB[0], ConnectXPUB: z.XSUB[0], Keys: zeromq.Keys(z.Keys)}, zeromq.Deps{Now: d.Now})
	}
	return nats.New(nats.Config{
		Cluster: spec.Cluster, ID: id, URL: url, User: spec.Bus.User, Password: spec.Bus.Token, CA: spec.Bus.CA, Cert: spec.Bus.Cert, Key: spec.Bus.Key,
	}, func() int64 { return d.Now().UnixNano() })
}

// eventCodec is the cluster's.
func eventCodec(spec node.Spec) (codec.Codec, error) {
	codecs := map[string]codec.Codec{"": brokerbin.New(), brokerbin.Name: brokerbin.New(), brokerjson.Name: brokerjson.New()}
	c, ok := codecs[spec.Bus.Codec]
	if !ok {
		return nil, fmt.Errorf("codec %q: not known", spec.Bus.Codec)
	}
	return c, nil
}

// start joins the cluster. stop leaves it and waits.
func (w *watch) start(spec node.Spec, url string, d Deps) (p part, err error) {
	id := cluster.NodeID("picket", spec.Name, "hub", os.Getpid(), fmt.Sprint(d.Now().UnixNano()))
	conn, err := connect(spec, url, id, d)
	if err != nil {
		return part{}, err
	}
	c, err := eventCodec(spec)
	if err != nil {
		return part{}, err
	}
	members := cluster.New(cluster.Config{Name: spec.Name, ID: id, Role: layout.None}, cluster.Deps{
		Events: conn, Codec: c, Status: conn.Status,
	})
	member, leave := context.WithCancel(context.Background())
	bus, disconnect := context.WithCancel(context.Background())
	var joined, connected sync.WaitGroup
	var errs [2]error
	connected.Go(func() { errs[0] = conn.Run(bus) })
	joined.Go(func() { errs[1] = members.Run(member) })
	joined.Go(func() {
		for {
			select {
			case id := <-w.gone:
				members.Gone(id)
			case <-member.Done():
				return
			}
		}
	})
	return part{url: url, want: members.Want, stop: func() error {
		leave()
		joined.Wait()
		disconnect()
		connected.Wait()
		return errors.Join(errs[:]...)
	}}, nil
}
