package standard

import (
	"github.com/picket-nsm/picket/policy/builtin"
	smtplog "github.com/picket-nsm/picket/policy/builtin/smtp"
	"github.com/picket-nsm/picket/traffic/analyzer"
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
