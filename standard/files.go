package standard

import (
	"github.com/picket-nsm/picket/policy/builtin"
	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	pelog "github.com/picket-nsm/picket/policy/builtin/pe"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/smb"
)

// programs is Windows programs, whatever protocol carries them.
func programs(b builtin.Base) []analyzer.Factory {
	b.Log.Use(fileslog.Driver{Name: pelog.Name, Types: []string{pelog.Type}, New: pelog.New(b.Open(pelog.Schema())).Analyzer})
	return nil
}

// shares is SMB, for the files that it carries.
func shares(b builtin.Base) []analyzer.Factory { return []analyzer.Factory{smb.Factory(b.Files)} }
