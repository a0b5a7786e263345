package magic

import "bytes"

// tags are elements that show what a marked-up text is, in lower case.
var tags = []struct {
	word     string
	mime     string
	strength int
	bom      bool // also behind a byte order mark
}{
	{"html", "text/html", 100, true},
	{"head", "text/html", 20, true},
	{"title", "text/html", 20, true},
	{"body", "text/html", 20, true},
	{"rss", "text/rss", 90, true},
	{"soap:envelope", "application/soap+xml", 49, true},
	{"soap-env:envelope", "application/soap+xml", 49, true},
	{"cross-domain-policy", "text/x-cross-domain-policy", 49, false},
	{"methodresponse>", "application/xml-rpc", 49, true},
}

// markup looks for the first element of a text in HTML or XML. In front of it
// may stand blanks, comments, and one XML declaration, blanks and comments again.
func markup(b, body []byte, marked bool, m *match) {
	start := skipBlank(body)
	if len(start) == 0 {
		return
	}
	if start[0] == 0 {
		xmlDeclaration(start, m)
	}
	if start[0] != '<' {
		return
	}
	var p places
	p.addComments(body, len(body)-len(start))
	before := p.list()
	for _, at := range before {
		xmlDeclaration(body[at:], m)
		if !marked && coldFusion(body[at:]) {
			m.take("magnus-internal/cold-fusion", 20)
		}
	}
	if at := firstWith(body, before, "<?xml "); at >= 0 {
		// Any later ?> may be the declaration's end.
		for i := at + 6; ; {
			n := bytes.Index(body[i:], []byte("?>"))
			if n < 0 {
				break
			}
			i += n + 2
			p.addComments(body, len(body)-len(skipBlank(body[i:])))
		}
	}
	for _, at := range p.list() {
		if at < len(body) && body[at] == '<' {
			element(body[at+1:], marked, m)
		}
	}
	if bytes.HasPrefix(b, []byte("<?xml version=\"")) {
		xmlKinds(b, m)
	}
	if bytes.HasPrefix(b, []byte("<?xml")) {
		kml(b, m)
	}
}

// places is a set of offsets where an element may begin.
type places struct {
	seen    [BOF + 1]bool
	open    bool // a comment began
	offsets []int
}

// BOF is the most that is looked at.
const BOF = 4096

func (p *places) add(at int) bool {
	if at > BOF || p.seen[at] {
		return false
	}
	p.seen[at] = true
	p.offsets = append(p.offsets, at)
	return true
}

func (p *places) list() []int { return p.offsets }

// addComments adds a place, and those behind comments that begin there: any
// later --> may be a comment's end.
func (p *places) addComments(b []byte, at int) {
	if !p.add(at) || p.open || !bytes.HasPrefix(b[at:], []byte("<!--")) {
		return
	}
	p.open = true
	for i := at + 4; ; {
		n := bytes.Index(b[i:], []byte("-->"))
		if n < 0 {
			return
		}
		i += n + 3
		p.add(len(b) - len(skipBlank(b[i:])))
	}
}

// firstWith returns the first of some places where a word stands, or -1.
func firstWith(b []byte, at []int, word string) int {
	first := -1
	for _, i := range at {
		if bytes.HasPrefix(b[i:], []byte(word)) && (first < 0 || i < first) {
			first = i
		}
	}
	return first
}

// coldFusion looks for the elements that programs in ColdFusion begin with.
func coldFusion(b []byte) bool {
	return bytes.HasPrefix(b, []byte("<CFPARAM")) || bytes.HasPrefix(b, []byte("<CFSET")) || bytes.HasPrefix(b, []byte("<CFIF"))
}

// xmlDeclaration looks for <?xml and a blank, in UTF-8 or UTF-16.
func xmlDeclaration(b []byte, m *match) {
	const word = "<?xml "
	for i := range len(word) {
		if len(b) > 0 && b[0] == 0 {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != word[i] {
			return
		}
		b = b[1:]
	}
	m.take("application/xml", 10)
}

// element looks at what stands behind a <.
func element(b []byte, marked bool, m *match) {
	if foldPrefix(b, "!doctype ") {
		kind := bytes.TrimLeft(b[len("!doctype "):], " ")
		if foldPrefix(kind, "html") {
			m.take("text/html", 100)
		}
		if foldPrefix(kind, "cross-domain-policy") && !marked {
			m.take("text/x-cross-domain-policy", 49)
		}
		return
	}
	for i := range tags {
		if t := &tags[i]; (t.bom || !marked) && foldPrefix(b, t.word) {
			m.take(t.mime, t.strength)
		}
	}
	if foldPrefix(b, "meta ") && foldPrefix(bytes.TrimLeft(b[len("meta "):], " "), "http-equiv") {
		m.take("text/html", 100)
	}
	end := bytes.IndexByte(b, '>')
	if end < 0 {
		end = len(b)
	}
	if foldPrefix(b, "rss") && bytes.Contains(b[:end], []byte("xmlns:atom")) {
		m.take("text/atom", 100)
	}
	if foldPrefix(b, "feed") {
		for _, quote := range []string{`"`, `'`, ``} {
			if bytes.Contains(b[:end], []byte("xmlns="+quote+"http://www.w3.org/2005/Atom")) {
				m.take("text/atom", 100)
			}
		}
	}
	if foldPrefix(b, "manifest") {
		rest := b[len("manifest"):]
		if cut := skipBlank(rest); len(cut) < len(rest) && bytes.HasPrefix(cut, []byte(`xmlns="http://ns.adobe.com/f4m/`)) {
			m.take("application/f4m", 49)
		}
	}
}

// xmlKinds looks for elements anywhere behind an XML declaration.
func xmlKinds(b []byte, m *match) {
	rest := b[min(len(b), len(`<?xml version="`)+4):]
	for _, k := range []struct {
		word, mime string
		strength   int
	}{
		{"<svg", "image/svg+xml", 38}, {"<urlset", "application/xml-sitemap", 37}, {"<gnc-v2", "application/x-gnucash", 37},
	} {
		if bytes.Contains(rest, []byte(k.word)) {
			m.take(k.mime, k.strength)
		}
	}
	for _, word := range []string{"<!DOCTYPE X3D", "<!DOCTYPEX3D"} {
		if i := bytes.Index(rest, []byte(word)); i >= 1 {
			m.take("model/x3d", 43)
		}
	}
}

// kml looks for the name space of Google Earth's places behind <?xml.
func kml(b []byte, m *match) {
	rest := b[min(len(b), len("<?xml")+15):]
	for _, quote := range []string{`"`, `'`} {
		if bytes.Contains(rest, []byte(" xmlns="+quote+"http://earth.google.com/kml")) {
			m.take("application/vnd.google-earth.kml+xml", 61)
		}
		if bytes.Contains(rest, []byte(" xmlns="+quote+"http://www.opengis.net/kml")) {
			m.take("application/vnd.google-earth.kml+xml", 60)
		}
	}
}
