package magic

import "strings"

// table lists binary formats, and texts that begin with fixed words.
var table = []entry{
	// Pictures.
	{"image/png", 110, 0, "\x89PNG", nil},
	{"image/gif", 70, 0, "GIF8", nil},
	{"image/jpeg", 52, 0, "\xff\xd8", nil},
	{"image/x-icon", 70, 0, "\x00\x00\x01\x00", nil},
	{"image/x-cursor", 70, 0, "\x00\x00\x02\x00", nil},
	{"image/tiff", 70, 0, "MM\x00", anyAt(3, "*+")},
	{"image/tiff", 70, 0, "II*\x00", nil},
	{"image/tiff", 70, 0, "II+\x00", nil},
	{"image/x-ms-bmp", 50, 0, "BM", func(b []byte) bool {
		return len(b) > 15 && b[15] == 0 && strings.IndexByte("\x0c\x28\x40\x6c\x7c\x80", b[14]) >= 0
	}},
	{"image/webp", 70, 0, "RIFF", litAt(8, "WEBP")},
	{"image/x-coreldraw", 70, 0, "RIFF", anyOf(litAt(8, "CDRA"), litAt(8, "CDR6"))},
	{"image/vnd.adobe.photoshop", 70, 0, "8BPS", nil},
	{"image/jp2", 60, 4, "ftypjp2", nil},
	{"image/jp2", 70, 0, "\x00\x00\x00\x0cjP  \r\n\x87\n", litAt(20, "jp2 ")},
	{"image/jpx", 70, 0, "\x00\x00\x00\x0cjP  \r\n\x87\n", litAt(20, "jpx ")},
	{"image/jpm", 70, 0, "\x00\x00\x00\x0cjP  \r\n\x87\n", litAt(20, "jpm ")},
	{"video/mj2", 70, 0, "\x00\x00\x00\x0cjP  \r\n\x87\n", litAt(20, "mjp2")},
	{"image/jp2", 50, 4, "jP", nil},
	{"image/x-exr", 70, 0, "\x76\x2f\x31\x01", nil},
	{"image/x-dpx", 70, 0, "SDPX", nil},
	{"image/vnd.djvu", 70, 0, "AT&TFORM", anyOf(litAt(12, "DJVM"), litAt(12, "DJVU"), litAt(12, "DJVI"), litAt(12, "THUM"))},
	{"image/vnd.dwg", 90, 0, "AC10", nil},
	{"image/vnd.dwg", 90, 0, "AC1.", nil},
	{"image/vnd.dwg", 90, 0, "AC2.", nil},
	{"image/x-xcf", 110, 0, "gimp xcf", nil},
	{"image/x-xcursor", 70, 0, "Xcur", nil},
	{"image/x-olympus-orf", 70, 0, "IIRO", nil},
	{"image/x-olympus-orf", 70, 0, "IIRS", nil},
	{"image/x-olympus-orf", 70, 0, "MMOR", nil},
	{"image/x-x3f", 70, 0, "FOVb", nil},
	{"image/x-paintnet", 70, 0, "PDN3", nil},
	{"image/x-portable-pixmap", 50, 0, "P7", nil},
	{"image/x-niff", 70, 0, "IIN1", nil},

	// Programs.
	{"application/x-dosexec", 51, 0, "MZ", nil},
	{"application/x-object", 50, 0, "\x7fELF", elf(1)},
	{"application/x-executable", 50, 0, "\x7fELF", elf(2)},
	{"application/x-sharedlib", 50, 0, "\x7fELF", elf(3)},
	{"application/x-coredump", 50, 0, "\x7fELF", elf(4)},
	{"application/x-mach-o-executable", 100, 0, "\xce\xfa\xed\xfe", nil},
	{"application/x-mach-o-executable", 100, 0, "\xcf\xfa\xed\xfe", nil},
	{"application/x-mach-o-executable", 100, 0, "\xca\xfe\xba\xbe", func(b []byte) bool {
		return len(b) > 7 && b[6] == 0 && b[7] >= 1 && b[7] <= 0x14 // how many architectures
	}},
	{"application/x-java-applet", 71, 0, "\xca\xfe\xba\xbe", rangeAt(7, 0x2d, 0x34)},
	{"application/x-java-pack200", 1, 0, "\xca\xfe\xd0\x0d", rangeAt(4, 0, 0xff)},
	{"application/x-java-keystore", 70, 0, "\xfe\xed\xfe\xed", nil},
	{"application/x-java-jce-keystore", 70, 0, "\xce\xce\xce\xce", nil},
	{"application/x-java-jnlp-file", 100, 0, "<jnlp ", nil},
	{"application/x-windows-minidump", 50, 0, "MDMP", nil},
	{"application/x-dosexec", 190, 369, "MICROSOFT PIFEX\x00", nil},

	// Archives and packed data.
	{"application/zip", 10, 0, "PK\x03\x04", rangeAt(5, 0, 0xff)},
	{"application/zip", 10, 0, "PK\x07\x08PK\x03\x04", nil},
	{"application/java-archive", 100, 0, "PK\x03\x04", jar},
	{"application/vnd.openxmlformats-officedocument", 50, 0, "PK\x03\x04\x14\x00\x06\x00", nil},
	{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", 80, 0, "PK\x03\x04", office("word/")},
	{"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", 80, 0, "PK\x03\x04", office("xl/")},
	{"application/vnd.openxmlformats-officedocument.presentationml.presentation", 80, 0, "PK\x03\x04", office("ppt/")},
	{"application/epub+zip", 110, 0, "PK\x03\x04", litAt(26, "\x08\x00\x00\x00mimetypeapplication/epub+zip")},
	{"application/vnd.google-earth.kmz", 100, 0, "PK\x03\x04\x14", litAt(30, "doc.kml")},
	{"application/x-gzip", 100, 0, "\x1f\x8b", nil},
	{"application/x-compress", 50, 0, "\x1f\x9d", nil},
	{"application/x-bzip2", 60, 0, "BZh", nil},
	{"application/x-xz", 90, 0, "\xfd7zXZ\x00", nil},
	{"application/x-lzma", 71, 0, "\x5d\x00\x00", nil},
	{"application/x-lz4", 70, 0, "\x04\x22\x4d\x18", nil},
	{"application/x-lz4", 70, 0, "\x02\x21\x4c\x18", nil},
	{"application/x-lzip", 70, 0, "LZIP", nil},
	{"application/x-lrzip", 1, 0, "LRZI", nil},
	{"application/x-7z-compressed", 50, 0, "7z\xbc\xaf\x27\x1c", nil},
	{"application/x-rar", 70, 0, "Rar!", nil},
	{"application/vnd.ms-cab-compressed", 110, 0, "MSCF\x00\x00\x00\x00", nil},
	{"application/x-xar", 100, 0, "xar!", nil},
	{"application/x-rpm", 70, 0, "\xed\xab\xee\xdb", nil},
	{"application/x-rpm", 70, 0, "drpm", nil},
	{"application/x-debian-package", 171, 0, "!<arch>\ndebian", nil},
	{"application/x-archive", 70, 0, "!<arch>", nil},
	{"application/x-archive", 70, 0, "<ar>", nil},
	{"application/x-stuffit", 70, 0, "SIT!", nil},
	{"application/x-stuffit", 70, 0, "StuffIt", nil},
	{"application/x-zoo", 70, 20, "\xdc\xa7\xc4\xfd", nil},
	{"application/x-arj", 50, 0, "\x60\xea", nil},
	{"application/x-ace", 100, 7, "**ACE**", nil},
	{"application/x-cpio", 50, 0, "\xc7\x71", nil},
	{"application/x-cpio", 50, 0, "\x71\xc7", nil},
	{"application/x-lzh", 80, 6, "-", func(b []byte) bool {
		switch string(b[2:5]) {
		case "-lh":
			return strings.IndexByte(" abcdex0123456789", b[5]) >= 0
		case "-lz":
			return strings.IndexByte("s2345678", b[5]) >= 0
		case "-pm":
			return strings.IndexByte("s012", b[5]) >= 0
		}
		return string(b[2:6]) == "-pc1"
	}},
	{"application/x-tar", 100, 0, "", tar},
	{"application/warc", 50, 0, "WARC/", nil},
	{"application/x-dmg", 100, 0, "\x78\x01\x73\x0d\x62\x62\x60", nil},
	{"application/x-dmg", 100, 0, "\x78\xda\x63\x60\x18\x05", nil},
	{"application/x-dmg", 100, 0, "\x78\x01\x63\x60\x18\x05", nil},
	{"application/x-dmg", 100, 0, "\x78\xda\x73\x0d", nil},

	// Documents.
	{"application/pdf", 80, 0, "%PDF-", nil},
	{"application/vnd.fdf", 80, 0, "%FDF-", nil},
	{"application/postscript", 50, 0, "%!", nil},
	{"application/postscript", 60, 0, "\x04%!", nil},
	{"text/rtf", 80, 0, "{\\rtf", nil},
	{"application/msword", 50, 0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", nil},
	{"application/x-msaccess", 180, 4, "Standard Jet DB\x00", nil},
	{"application/x-msaccess", 180, 4, "Standard ACE DB\x00", nil},
	{"application/vnd.ms-tnef", 100, 0, "\x78\x9f\x3e\x22", nil},
	{"application/mshelp", 100, 0, "ITSF", nil},
	{"application/x-ms-shortcut", 49, 0, "\x4c\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46", nil},
	{"application/vnd.ms-pol", 49, 0, "PReg", nil},
	{"application/vnd.ms-reg", 49, 0, "REGEDIT4", nil},
	{"application/vnd.ms-regf", 49, 0, "regf", nil},
	{"application/x-dvi", 50, 0, "\xf7\x02", nil},
	{"application/bplist", 100, 0, "bplist", nil},
	{"application/x-hdf", 110, 0, "\x89HDF\r\n\x1a\n", nil},
	{"application/dicom", 70, 128, "DICM", nil},

	// Sound and film.
	{"audio/mpeg", 20, 0, "ID3", nil},
	{"audio/mpeg", 20, 0, "\xff", anyAt(1, "\xe2\xe3\xf2\xf3\xf6\xf7\xfa\xfb\xfc\xfd")},
	{"audio/x-hx-aac-adts", 50, 0, "\xff", anyAt(1, "\xf0\xf1\xf8\xf9")},
	{"audio/x-hx-aac-adif", 70, 0, "ADIF", nil},
	{"audio/x-flac", 70, 0, "fLaC", nil},
	{"application/ogg", 70, 0, "OggS", nil},
	{"audio/midi", 70, 0, "MThd", nil},
	{"audio/x-wav", 70, 0, "RIFF", litAt(8, "WAVE")},
	{"video/x-msvideo", 70, 0, "RIFF", litAt(8, "AVI ")},
	{"audio/x-aiff", 70, 0, "FORM", anyOf(litAt(8, "AIFF"), litAt(8, "AIFC"), litAt(8, "8SVX"))},
	{"audio/basic", 70, 0, ".snd\x00\x00\x00", nil},
	{"audio/x-ape", 70, 0, "MAC ", nil},
	{"audio/x-pn-realaudio", 70, 0, ".ra\xfd", nil},
	{"application/vnd.rn-realmedia", 100, 0, ".RMF\x00\x00\x00", nil},
	{"audio/m4a", 70, 4, "ftypm4a", nil},
	{"audio/mp4", 60, 4, "ftypM4A", nil},
	{"video/mp4", 60, 4, "ftypM4V", nil},
	{"video/mp4", 70, 4, "ftypisom", nil},
	{"video/mp4", 70, 4, "ftypmp41", nil},
	{"video/mp4", 70, 4, "ftypmp42", nil},
	{"video/3gpp", 60, 4, "ftyp3g", anyAt(10, "egps2")},
	{"video/3gpp", 60, 4, "ftypavc1", nil},
	{"video/3gpp", 60, 4, "ftypmmp4", nil},
	{"video/quicktime", 50, 4, "ftypqt", nil},
	{"video/quicktime", 70, 4, "moov", nil},
	{"video/quicktime", 70, 4, "mdat", nil},
	{"video/x-matroska", 110, 0, "\x1a\x45\xdf\xa3", ebml("matroska")},
	{"video/webm", 70, 0, "\x1a\x45\xdf\xa3", ebml("webm")},
	{"video/x-flv", 60, 0, "FLV", nil},
	{"video/x-ms-asf", 70, 0, "\x30\x26\xb2\x75", nil},
	{"video/mpeg", 50, 0, "\x00\x00\x01", rangeAt(3, 0xb0, 0xbb)},
	{"video/mpv", 71, 0, "\x00\x00\x01\xb3", nil},
	{"video/mp2p", 21, 0, "\x00\x00\x01\xba", func(b []byte) bool { return len(b) > 4 && b[4]&0x40 != 0 }},
	{"video/h264", 41, 0, "\x00\x00\x00\x01", func(b []byte) bool { return len(b) > 4 && b[4]&0x1f == 7 }},
	{"video/mp2t", 40, 0, "\x47", func(b []byte) bool {
		return len(b) >= 4*188 && b[188] == 0x47 && b[2*188] == 0x47 && b[3*188] == 0x47
	}},
	{"video/x-mng", 70, 0, "\x8aMNG", nil},
	{"video/x-jng", 70, 0, "\x8bJNG", nil},
	{"video/x-fli", 50, 4, "\x11\xaf", nil},
	{"video/x-flc", 50, 4, "\x12\xaf", nil},
	{"application/x-shockwave-flash", 60, 0, "FWS", nil},
	{"application/x-shockwave-flash", 60, 0, "CWS", nil},
	{"application/x-shockwave-flash", 60, 0, "ZWS", nil},

	// Type faces.
	{"application/font-woff", 70, 0, "wOFF", nil},
	{"application/font-woff2", 70, 0, "wOF2", nil},
	{"application/x-font-ttf", 80, 0, "\x00\x01\x00\x00\x00", nil},
	{"application/vnd.ms-opentype", 70, 0, "OTTO", nil},
	{"application/vnd.ms-fontobject", 50, 34, "LP", nil},

	// Keys, signatures, certificates.
	{"application/pgp-signature", 280, 0, "-----BEGIN PGP SIGNATURE-", nil},
	{"application/pgp", 260, 0, "-----BEGIN PGP MESSAGE-", nil},
	{"application/pgp-keys", 330, 2, "---BEGIN PGP PUBLIC KEY BLOCK-", nil},
	{"application/x-pem", 0, 0, "-----BEGIN CERTIFICATE-----", nil},
	{"application/x-pgp-keyring", 50, 0, "\x99\x00", nil},
	{"application/x-pgp-keyring", 50, 0, "\x95\x01", nil},
	{"application/x-pgp-keyring", 50, 0, "\x95\x00", nil},
	{"text/PGP", 50, 0, "\xa6\x00", nil},
	{"text/PGP", 50, 0, "\x85\x02", nil},
	{"application/ocsp-request", 71, 0, "", oid("\x06\x05\x2b\x0e\x03\x02\x1a")},                  // SHA-1
	{"application/ocsp-response", 71, 0, "", oid("\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01")}, // id-pkix-ocsp-basic

	// Captures, games, updates.
	{"application/vnd.tcpdump.pcap", 70, 0, "\xa1\xb2\xc3\xd4", nil},
	{"application/vnd.tcpdump.pcap", 70, 0, "\xd4\xc3\xb2\xa1", nil},
	{"application/vnd.tcpdump.pcap", 100, 0, "\n\r\r\n", anyOf(litAt(8, "\x1a\x2b\x3c\x4d"), litAt(8, "\x4d\x3c\x2b\x1a"))},
	{"application/chrome-ext", 100, 0, "Cr24", nil},
	{"application/chrome-ext-upd", 70, 0, "CrOD", nil},
	{"application/bsdiff", 100, 0, "BSDIFF", nil},
	{"application/bindiff", 100, 0, "DIFF", nil},
	{"application/x-kaspavdb", 100, 0, "KLZF", nil},
	{"application/x-kaspavupdate", 100, 0, "KLD2", nil},
	{"application/mssql-bak", 100, 0, "MSSQLBAK", nil},
	{"application/mtf", 100, 0, "TAPE", nil},
	{"application/x-game-mpq", 100, 0, "MPQ\x1a", nil},
	{"application/x-blizgame", 100, 0, "BLTE", nil},
	{"application/map-tile", 100, 0, "VMP4", nil},
	{"application/msqm", 100, 0, "MSQM", nil},
	{"application/x-ms-dds", 100, 0, "DDS", nil},
	{"application/x-bittorrent", 140, 0, "d8:announce", nil},
	{"application/vnd.apple-afpinfo", 0, 0, "AFP", nil},

	// Mail, news, calendars.
	{"message/rfc822", 80, 0, "From:", nil},
	{"message/rfc822", 170, 0, "Relay-Version:", nil},
	{"message/rfc822", 110, 0, "#! rnews", nil},
	{"message/rfc822", 120, 0, "N#! rnews", nil},
	{"message/rfc822", 130, 0, "Forward to", nil},
	{"message/rfc822", 100, 0, "Pipe to", nil},
	{"message/news", 80, 0, "Path:", nil},
	{"message/news", 80, 0, "Xref:", nil},
	{"message/news", 100, 0, "Article", nil},
	{"text/calendar", 180, 0, "BEGIN:VCALENDAR", nil},
	{"text/x-vcard", 140, 0, "BEGIN:VCARD", nil},
	{"text/x-po", 37, 0, "msgid ", nil},
	{"text/x-m4", 40, 0, "dnl ", nil},
	{"application/sla", 10, 0, "solid ", nil},
	{"application/mac-binhex40", 320, 11, "must be converted with BinHex", nil},
	{"application/x-shar", 280, 10, "# This is a shell archive", nil},
}

// litAt asks for bytes at a place.
func litAt(at int, lit string) func([]byte) bool {
	return func(b []byte) bool { return len(b) >= at+len(lit) && string(b[at:at+len(lit)]) == lit }
}

// anyAt asks for one of some bytes at a place.
func anyAt(at int, set string) func([]byte) bool {
	return func(b []byte) bool { return len(b) > at && strings.IndexByte(set, b[at]) >= 0 }
}

// rangeAt asks for a byte between two others at a place.
func rangeAt(at int, from, to byte) func([]byte) bool {
	return func(b []byte) bool { return len(b) > at && b[at] >= from && b[at] <= to }
}

// anyOf asks for one of several things.
func anyOf(all ...func([]byte) bool) func([]byte) bool {
	return func(b []byte) bool {
		for _, f := range all {
			if f(b) {
				return true
			}
		}
		return false
	}
}
