package ftp

import "slices"

// isLogged tells the commands that get rows (FTP::logged_commands).
func isLogged(name []byte) bool {
	switch string(name) {
	case "APPE", "DELE", "RETR", "STOR", "STOU", "ACCT", "PORT", "PASV", "EPRT", "EPSV":
		return true
	}
	return false
}

// ofFile tells the commands whose argument is the name of a file or directory.
func ofFile(name []byte) bool {
	switch string(name) {
	case "APPE", "CWD", "DELE", "MKD", "RETR", "RMD", "RNFR", "RNTO", "STOR", "STOU", "REST", "SIZE", "MDTM":
		return true
	}
	return false
}

// changesDirectory tells the commands that show or change the working directory,
// with the code that says they did.
func changesDirectory(name []byte, code int) bool {
	switch string(name) {
	case "CWD":
		return code == 250
	case "CDUP":
		return code == 200 || code == 250
	case "PWD", "XPWD":
		return code == 257
	}
	return false
}

// mayAnswer tells whether a code may be an answer to a command.
func mayAnswer(name []byte, code int) bool { return slices.Contains(answers[string(name)], code) }

// answers lists the codes that may answer a command: RFC 959, 1639, 2389, 2428,
// 3659, and two commands that clients send without one. 0 is no code. It is only
// read.
var answers = map[string][]int{
	"<init>":    {0, 120, 220, 421},
	"<missing>": {0},
	"USER":      {230, 331, 332, 421, 530, 500, 501},
	"PASS":      {230, 202, 332, 421, 530, 500, 501, 503},
	"ACCT":      {230, 202, 421, 530, 500, 501, 503},
	"CWD":       {250, 421, 500, 501, 502, 530, 550},
	"RMD":       {250, 421, 500, 501, 502, 530, 550},
	"CDUP":      {200, 250, 421, 500, 501, 502, 530, 550},
	"SMNT":      {202, 250, 421, 500, 501, 502, 530, 550},
	"REIN":      {120, 220, 421, 500, 502},
	"QUIT":      {0, 221, 500},
	"PORT":      {200, 421, 500, 501, 530},
	"PASV":      {227, 421, 500, 501, 502, 530},
	"MODE":      {200, 421, 500, 501, 502, 504, 530},
	"TYPE":      {200, 421, 500, 501, 504, 530},
	"STRU":      {200, 421, 500, 501, 504, 530},
	"ALLO":      {200, 202, 421, 500, 501, 504, 530},
	"REST":      {200, 350, 421, 500, 501, 502, 530},
	"STOR":      {110, 125, 150, 226, 250, 421, 425, 426, 451, 551, 552, 532, 450, 452, 553, 500, 501, 530, 550},
	"STOU":      {110, 125, 150, 226, 250, 421, 425, 426, 451, 551, 552, 532, 450, 452, 553, 500, 501, 530, 550},
	"RETR":      {110, 125, 150, 226, 250, 421, 425, 426, 451, 450, 500, 501, 530, 550},
	"LIST":      {125, 150, 226, 250, 421, 425, 426, 451, 450, 500, 501, 502, 530, 550},
	"NLST":      {125, 150, 226, 250, 421, 425, 426, 451, 450, 500, 501, 502, 530, 550},
	"APPE":      {125, 150, 226, 250, 421, 425, 426, 451, 551, 552, 532, 450, 550, 452, 553, 500, 501, 502, 530},
	"RNFR":      {350, 421, 450, 550, 500, 501, 502, 530},
	"RNTO":      {250, 421, 532, 553, 500, 501, 502, 503, 530},
	"DELE":      {250, 421, 450, 550, 500, 501, 502, 530},
	"MKD":       {257, 421, 500, 501, 502, 530, 550},
	"PWD":       {257, 421, 500, 501, 502, 550},
	"ABOR":      {225, 226, 421, 500, 501, 502},
	"SYST":      {215, 421, 500, 501, 502, 530},
	"STAT":      {211, 212, 213, 421, 450, 500, 501, 502, 530},
	"HELP":      {200, 211, 214, 421, 500, 501, 502},
	"SITE":      {200, 202, 214, 500, 501, 502, 530},
	"NOOP":      {200, 421, 500},
	"LPRT":      {500, 501, 521},
	"FEAT":      {211, 500, 502},
	"OPTS":      {200, 451, 501},
	"EPSV":      {229, 500, 501},
	"EPRT":      {200, 500, 501, 522},
	"SIZE":      {213, 500, 501, 550},
	"MDTM":      {213, 500, 501, 550},
	"MLST":      {150, 226, 250, 500, 501, 550},
	"MLSD":      {150, 226, 250, 500, 501, 550},
	"CLNT":      {200, 500},
	"MACB":      {200, 500, 550},
}

// looksLikeReply tells lines that begin as a reply does: a code and ten letters.
func looksLikeReply(b []byte) bool {
	if len(b) < 14 || b[0] < '1' || b[0] > '9' || !digit(b[1]) || !digit(b[2]) || b[3] != ' ' {
		return false
	}
	for _, c := range b[4:14] {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// lastNumber is the last number in a text; 0: there is none.
func lastNumber(b []byte) uint64 {
	end := len(b)
	for end > 0 && !digit(b[end-1]) {
		end--
	}
	begin := end
	for begin > 0 && digit(b[begin-1]) {
		begin--
	}
	var n uint64
	for _, c := range b[begin:end] {
		d := uint64(c - '0')
		if n > (1<<64-1-d)/10 {
			return 1<<64 - 1
		}
		n = n*10 + d
	}
	return n
}
