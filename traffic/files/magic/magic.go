// Package magic tells the type of a file from its first bytes.
//
// It stands below package files, which keeps these bytes. It is a table of what
// the formats' specifications say about their beginnings, and a few functions
// for text, where there is only custom. Several entries may fit; each has a
// strength, and the strongest wins, among equals the name that sorts first.
// Names of types and strengths are those that Zeek's logs show, so that the
// mime_type columns agree. It never says more than the bytes do: a declared
// Content-Type is not looked at.
package magic

// entry is one beginning of a type.
type entry struct {
	mime     string
	strength int
	at       int    // where lit stands
	lit      string // fixed bytes
	also     func(b []byte) bool
}

// byFirst lists the entries that can fit a file by its first byte; it is worked
// out once, from the table.
var byFirst = index()

func index() (list [256][]*entry) {
	for _, entries := range [][]entry{table, rare} {
		for i := range entries {
			e := &entries[i]
			if e.at == 0 && e.lit != "" {
				list[e.lit[0]] = append(list[e.lit[0]], e)
				continue
			}
			for c := range list {
				list[c] = append(list[c], e)
			}
		}
	}
	return list
}

// Detect returns the type of a file that begins with b, or "".
func Detect(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	var best match
	for _, e := range byFirst[b[0]] {
		if e.strength < best.strength && best.mime != "" {
			continue
		}
		if len(b) >= e.at+len(e.lit) && string(b[e.at:e.at+len(e.lit)]) == e.lit && (e.also == nil || e.also(b)) {
			best.take(e.mime, e.strength)
		}
	}
	text(b, &best)
	return best.mime
}

// match is the strongest entry so far.
type match struct {
	mime     string
	strength int
}

func (m *match) take(mime string, strength int) {
	if m.mime == "" || strength > m.strength || strength == m.strength && mime < m.mime {
		m.mime, m.strength = mime, strength
	}
}
