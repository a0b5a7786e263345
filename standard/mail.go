package standard

import (
	"github.com/picket-nsm/picket/policy/builtin"
	irclog "github.com/picket-nsm/picket/policy/builtin/irc"
	smtplog "github.com/picket-nsm/picket/policy/builtin/smtp"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/irc"
	"github.com/picket-nsm/picket/traffic/analyzer/pop3"
	"github.com/picket-nsm/picket/traffic/analyzer/smtp"
)

// smtpProtocol is SMTP with smtp.log, and files.log for what mails carry.
func smtpProtocol(b builtin.Base) []analyzer.Factory {
	log := smtplog.New(smtplog.Default(), b.Open(smtplog.Schema()))
	return []analyzer.Factory{smtp.Factory(smtp.Default(), smtp.Deps{Files: b.Files, NewHandler: log.Handler})}
}

// pop3Protocol is POP3, which has no log.
func pop3Protocol(builtin.Base) []analyzer.Factory {
	return []analyzer.Factory{pop3.Factory(pop3.Default())}
}

// ircProtocol is IRC with irc.log, and its direct connections with files.log.
func ircProtocol(b builtin.Base) []analyzer.Factory {
	log := irclog.New(irclog.Default(), b.Open(irclog.Schema()), b.Board)
	return []analyzer.Factory{irc.Factory(log.Handler), irc.DataFactory(b.Files, log.DataHandler)}
}
