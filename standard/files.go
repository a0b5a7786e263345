package standard

import (
	"github.com/picket-nsm/picket/policy/builtin"
	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	pelog "github.com/picket-nsm/picket/policy/builtin/pe"
	"github.com/picket-nsm/picket/traffic/analyzer"
)

// programs is Windows programs, whatever protocol carries them.
func programs(b builtin.Base) []analyzer.Factory {
	b.Log.Use(fileslog.Driver{Name: pelog.Name, Types: []string{pelog.Type}, New: pelog.New(b.Open(pelog.Schema())).Analyzer})
	return nil
}
