package magic

import (
	"strings"
	"testing"
)

// Beginnings of seldom formats, and what is nearly one.
func TestRare(t *testing.T) {
	document := func(kind string) string {
		return "PK\x03\x04" + strings.Repeat("\x01", 22) + "\x08\x00\x00\x00mimetypeapplication/vnd.oasis.opendocument." + kind
	}
	at := func(n int, text string) string { return strings.Repeat("\x01", n) + text }
	for _, c := range []struct{ data, want string }{
		{document("textPK"), "application/vnd.oasis.opendocument.text"},
		{document("text"), "application/zip"}, // something must follow
		{document("text-template"), "application/vnd.oasis.opendocument.text-template"},
		{document("text-web"), "application/vnd.oasis.opendocument.text-web"},
		{document("text-master"), "application/vnd.oasis.opendocument.text-master"},
		{document("text-other"), "application/zip"},
		{document("spreadsheetPK"), "application/vnd.oasis.opendocument.spreadsheet"},
		{document("database"), "application/vnd.oasis.opendocument.database"},
		{"\xcb\x0d\r\n\x00\x00\x00\x00", "application/x-python-bytecode"},
		{"\x03\xf3\r\n\x00\x00\x00\x00", "application/x-python-bytecode"},
		{"\xcc\x0d\r\n\x00\x00\x00\x00", ""},
		{"Delivered-To: a@b.c\r\n", "message/rfc822"},
		{"return-path: <a@b.c>\r\n", "message/rfc822"},
		{"X-Return-Path: <a@b.c>\r\n", "text/plain"},
		{"MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"", "application/pkcs7-signature"},
		{"some words\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n", "text/x-diff"},
		{"some words\n+++ b/x\n--- a/x\n@@ -1 +1 @@\n", "text/plain"},
		{"P5\n10  10 255\n", "image/x-portable-greymap"},
		{"P5\n10 10\n255\n", "text/plain"}, // one blank
		{"# by hand\nP310  10\n", "image/x-portable-pixmap"},
		{"# by hand\nP3\n10  10\n", "text/plain"},
		{"<?xml version='1.0'?><kml xmlns='http://www.opengis.net/kml/2.2'>", "application/vnd.google-earth.kml+xml"},
		{"<?xml version=\"1.0\" ?><!DOCTYPE X3D PUBLIC>", "model/x3d"},
		{" <!-- x --><CFSET a=1>", "magnus-internal/cold-fusion"},
		{" <cfset a=1>        ", "text/plain"},
		{"<?\x00x\x00m\x00l\x00 \x00", "application/xml"},
		{"<MANIFEST xmlns=\"http://ns.adobe.com/f4m/1.0\">", "application/f4m"},
		{"#!/usr/bin/env\npython\n", "text/x-python"},
		{"#!\n/usr/bin/python\n", "text/plain"},
		{"\x1a\x05-lh5-\x00\x00", "application/x-lzh"},
		{"\x1a\x05-lhz-\x00\x00", ""},
		{"ab\x08\x1a\x00", "application/x-arc"},
		{"\x78\xda\xed\xd5\x00", "application/x-dmg"},
		{"!<ar>\nsome text", "application/x-archive"},
		{"!BDN\x00\x00\x00\x00\x00\x00\x0e\x01", "application/vnd.ms-outlook"},
		{"!BDN\x00\x00\x00\x00\x00\x00\x0e\x03", ""},
		{"\xff\xfe" + wide("Windows Registry Editor Version 5.00\r\n"), "application/vnd.ms-reg"},
		{"\xff\xfe\xff\x0e" + wide("SketchUp Model"), "application/skp"},
		{"MZ" + at(28, "PKLITE Copr."), "application/zip"},
		{"MZ" + at(34, "LHA's SFX"), "application/x-lha"},
		{"MZ" + at(35, "LHA's SFX"), "application/x-dosexec"},
		{".snd\x01\x00\x00\x1c\xff\xff\xff\xff\x00\x00\x00\x17", "audio/x-adpcm"},
		{".sd\x00\x1c\x00\x00\x00\xff\xff\xff\xff\x07\x00\x00\x00", "audio/x-dec-basic"},
		{".sd\x00\x1c\x00\x00\x00\xff\xff\xff\xff\x08\x00\x00\x00", ""},
		{at(21, "!SCREAM!"), "audio/x-mod"},
		{at(39, "<gmr:Workbook"), "application/x-gnumeric"},
		{"ToKyO CaBiNeT\n" + at(18, "\x02"), "application/x-tokyocabinet-fixed"},
		{"LPKSHHRH" + at(8, "\x01") + at(7, strings.Repeat("x", 48)), "application/vnd.fdo.journal"},
		{"LPKSHHRH" + at(8, "\x01") + at(7, strings.Repeat("x", 47)), ""},
		{"01234nwm", "application/marc"},
		{"0123xnwm", ""},
		{"\x00\x00\x00\x04" + at(100, "\x04\x00\x00\x00"), "application/x-font-sfn"},
		{"`;x[\x00V\x00e\x00r\x00s\x00i\x00o\x00n\x00]", "application/x-setupscript"},
		{"`\r\n[\x01[Version", "application/x-setupscript"},
		{"`\r\n\x01[Version", ""},
		{"#VRML V2.0 utf8\n", "model/vrml"},
		{"#VRML V3.0 utf8\n", "text/plain"},
		{"II*\x00\x10\x00\x00\x00CR", "image/x-canon-cr2"},
		{"\x37\x00\x00\x10\x6d\x00\x00\x10\x7f\x00\x00\x10", "application/x-epoc-word"},
	} {
		if got := Detect([]byte(c.data)); got != c.want {
			t.Errorf("%q: %q, not %q", c.data, got, c.want)
		}
	}
}
