package standard

import (
	"github.com/picket-nsm/picket/policy/builtin"
	ftplog "github.com/picket-nsm/picket/policy/builtin/ftp"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/ftp"
)

// ftpProtocol is FTP with ftp.log, and its data connections with files.log.
func ftpProtocol(b builtin.Base) []analyzer.Factory {
	log := ftplog.New(ftplog.Default(), ftplog.Deps{Write: b.Open(ftplog.Schema()), Weird: b.Weird, Board: b.Board})
	b.Secured.Listen(log.Secured)
	b.Each.Listen(log.Advance)
	return []analyzer.Factory{ftp.Factory(ftp.Default(), log.Handler), ftp.DataFactory(b.Files, log.DataHandler)}
}
