package cluster_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/picket-nsm/picket/bus/backend/mem"
	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/zeek/declare"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/value"
)

// Example is the example of Zeek's documentation of its cluster framework: a node
// subscribes to a topic, another publishes two events there.
func Example() {
	// The events, as a Zeek script declares them.
	events, err := declare.Parse(declare.File{Name: "found.zeek", Text: `
		global found_root: event();
		global found_secret: event(secret: string);
	`})
	if err != nil {
		panic(err)
	}
	bus := mem.NewBus(mem.Config{}) // nats.New or zeromq.New between processes
	connected, disconnect := context.WithCancel(context.Background())
	member, leave := context.WithCancel(context.Background())
	var drivers, nodes sync.WaitGroup
	join := func(name string, role layout.Role) *cluster.Cluster {
		id := cluster.NodeID("mem", name, "localhost", 1, name)
		driver := bus.Endpoint(id)
		node := cluster.New(cluster.Config{Name: name, ID: id, Role: role},
			cluster.Deps{Events: driver, Codec: brokerbin.New(), Declared: events})
		drivers.Go(func() { must(driver.Run(connected)) })
		nodes.Go(func() { must(node.Run(member)) })
		return node
	}
	manager, worker := join("manager", layout.Manager), join("worker-1", layout.Worker)

	var found sync.WaitGroup
	found.Add(2)
	must(manager.Subscribe("/my/topic", "found_root", func(cluster.Event) {
		fmt.Println("found root")
		found.Done()
	}))
	must(manager.Subscribe("/my/topic", "found_secret", func(e cluster.Event) {
		fmt.Println("found secret:", e.Args[0].Str())
		found.Done()
	}))

	// A count is no secret: Zeek would drop this event without a word.
	fmt.Println(worker.Publish("/my/topic", event.New("found_secret", value.Count(42))))

	must(worker.Publish("/my/topic", event.New("found_root")))
	must(worker.Publish("/my/topic", event.New("found_secret", value.String("SeCrEt!!"))))

	found.Wait()
	leave() // a node says goodbye, so its connection ends after it
	nodes.Wait()
	disconnect()
	drivers.Wait()
	// Output:
	// cluster: publish found_secret: event cannot be published: event does not fit its declaration: parameter secret of found_secret: a count, not a string
	// found root
	// found secret: SeCrEt!!
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
