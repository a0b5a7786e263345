package telemetry

import (
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// label is one name and value of a series.
type label struct{ name, value string }

// builder makes the families of one scrape. We make them ourselves, and not by
// client_golang's collectors, as all is a copy of a snapshot: nothing is kept
// from one scrape to the next. Writing them is client_golang's.
type builder struct {
	families map[string]*dto.MetricFamily
	streams  streams
}

func newBuilder() *builder {
	return &builder{families: map[string]*dto.MetricFamily{}, streams: streams{}}
}

func (b *builder) family(name, help string, kind dto.MetricType) *dto.MetricFamily {
	f := b.families[name]
	if f == nil {
		f = &dto.MetricFamily{Name: proto.String(name), Help: proto.String(help), Type: kind.Enum()}
		b.families[name] = f
	}
	return f
}

func (b *builder) counter(name, help string, v float64, labels ...label) {
	f := b.family(name, help, dto.MetricType_COUNTER)
	f.Metric = append(f.Metric, &dto.Metric{Label: pairs(labels), Counter: &dto.Counter{Value: &v}})
}

func (b *builder) gauge(name, help string, v float64, labels ...label) {
	f := b.family(name, help, dto.MetricType_GAUGE)
	f.Metric = append(f.Metric, &dto.Metric{Label: pairs(labels), Gauge: &dto.Gauge{Value: &v}})
}

// pairs sorts labels by name, as Zeek prints them. Names and roles come from
// files of others; what is no UTF-8 would spoil the whole answer.
func pairs(labels []label) []*dto.LabelPair {
	slices.SortFunc(labels, func(a, b label) int { return strings.Compare(a.name, b.name) })
	all := make([]dto.LabelPair, len(labels))
	out := make([]*dto.LabelPair, len(labels))
	for i := range labels {
		v := strings.ToValidUTF8(labels[i].value, "\uFFFD")
		all[i].Name, all[i].Value = &labels[i].name, &v
		out[i] = &all[i]
	}
	return out
}

// sorted returns the families by name.
func (b *builder) sorted() []*dto.MetricFamily {
	out := make([]*dto.MetricFamily, 0, len(b.families))
	for _, f := range b.families {
		out = append(out, f)
	}
	slices.SortFunc(out, func(x, y *dto.MetricFamily) int { return strings.Compare(x.GetName(), y.GetName()) })
	return out
}
