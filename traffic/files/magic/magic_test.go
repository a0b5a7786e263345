package magic

import (
	tarfile "archive/tar"
	"bytes"
	"compress/gzip"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

func TestDetect(t *testing.T) {
	member := func(name string) string { return "PK\x03\x04\x14\x00" + strings.Repeat("\x01", 24) + name }
	for _, c := range []struct{ data, want string }{
		{"", ""},
		{"short", ""},
		{"ten bytes!", "text/plain"},
		{"\xef\xbb\xbften bytes!", "text/plain"},
		{"\xff\xfet\x00e\x00n\x00", ""},
		{"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b", ""},
		{"%PDF-1.4\n%\xe2\xe3", "application/pdf"},
		{"MZ\x90\x00\x03", "application/x-dosexec"},
		{"\x7fELF\x02\x01\x01\x00" + strings.Repeat("\x00", 8) + "\x02\x00", "application/x-executable"},
		{"\x7fELF\x02\x02\x01\x00" + strings.Repeat("\x00", 8) + "\x00\x03", "application/x-sharedlib"},
		{"\xca\xfe\xba\xbe\x00\x00\x00\x34", "application/x-java-applet"},
		{"\xca\xfe\xba\xbe\x00\x00\x00\x02", "application/x-mach-o-executable"},
		{"MSCF\x00\x00\x00\x00\x34", "application/vnd.ms-cab-compressed"},
		{member("a.txt"), "application/zip"},
		{member("[Content_Types].xml") + "..." + member("xl/workbook.xml"),
			"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
		{member("word/document.xml") + member("word/styles.xml"),
			"application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{member("[Content_Types].xml"), "application/zip"},
		{"PK\x03\x04\x14\x00\x06\x00\x01", "application/vnd.openxmlformats-officedocument"},
		{"Rar!\x1a\x07", "application/x-rar"},
		{"\x00\x00\x01\x00\x01\x00", "image/x-icon"},
		{"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/x-wav"},
		{"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"},
		{"\x00\x00\x00\x20ftypisom", "video/mp4"},
		{"\x1a\x45\xdf\xa3\x01\x42\x82\x84webm", "video/webm"},
		{"CWS\x09....", "application/x-shockwave-flash"},
		{"<!DOCTYPE html>\n<html>", "text/html"},
		{"<!doctype   HTML public", "text/html"},
		{"  \r\n<HTML>", "text/html"},
		{"<head><title>x", "text/html"},
		{"<p>paragraph</p>", "text/plain"},
		{"<!-- hello --><html>", "text/html"},
		{"<!-- a --> b --> <body>", "text/html"},
		{"<!-- a -- <body> ...", "text/plain"},
		{"<?xml version=\"1.0\"?>\n<doc/>", "application/xml"},
		{"<?xml version=\"1.0\"?>\n<!-- c -->\n<rss version=\"2.0\">", "text/rss"},
		{"<?xml version=\"1.0\"?><feed xmlns=\"http://www.w3.org/2005/Atom\">", "text/atom"},
		{"<?xml version=\"1.0\"?><!DOCTYPE html PUBLIC", "text/html"},
		{"<?xml version=\"1.0\"?>\n<soap:Envelope>", "application/soap+xml"},
		{"<?xml version=\"1.0\"?>\n<cross-domain-policy>", "text/x-cross-domain-policy"},
		{"\xff\xfe<\x00?\x00x\x00m\x00l\x00 \x00v\x00", "application/xml"},
		{"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg>", "image/svg+xml"},
		{`{"name": "value"}`, "text/json"},
		{` { "n" : 1 }`, "text/json"},
		{`{name: [1]}`, "text/json"},
		{`{"name" = 1, more}`, "text/plain"},
		{`[{"a":1}]`, "text/json"},
		{`[1.5, 2, 3, 4]`, "text/json"},
		{"[section]\nkey=value\n", "text/ini"},
		{"#!/bin/sh\necho", "text/x-shellscript"},
		{"#!/usr/bin/env python3\nprint", "text/x-python"},
		{"#!/usr/bin/env node\n", "application/javascript"},
		{"<script type=\"text/javascript\">", "application/javascript"},
		{"(function() {\nvar a", "application/javascript"},
		{"for (;;);{\"a\":1}", "application/javascript"},
		{"hello <?php echo 1; ?>", "text/x-php"},
		{"@echo off\r\ndir", "text/x-msdos-batch"},
		{"-----BEGIN PGP SIGNATURE-----\n", "application/pgp-signature"},
		{"-----BEGIN CERTIFICATE-----\n", "application/x-pem"},
		{"From: me\r\nTo: you", "message/rfc822"},
		{"\x30\x82\x01\xd3\x0a\x01\x00\xa0\x82\x01\xcc\x30\x82\x01\xc8\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x01\x04", "application/ocsp-response"},
		{"\x30\x51\x30\x4f\x30\x4d\x30\x4b\x30\x49\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00", "application/ocsp-request"},
	} {
		if got := Detect([]byte(c.data)); got != c.want {
			t.Errorf("%.40q: %q, want %q", c.data, got, c.want)
		}
	}
}

// What Go's encoders write is told.
func TestEncoders(t *testing.T) {
	pic := image.NewGray(image.Rect(0, 0, 4, 4))
	for want, write := range map[string]func(*bytes.Buffer) error{
		"image/png":  func(b *bytes.Buffer) error { return png.Encode(b, pic) },
		"image/gif":  func(b *bytes.Buffer) error { return gif.Encode(b, pic, nil) },
		"image/jpeg": func(b *bytes.Buffer) error { return jpeg.Encode(b, pic, nil) },
		"application/x-gzip": func(b *bytes.Buffer) error {
			return gzip.NewWriter(b).Close()
		},
		"application/x-tar": func(b *bytes.Buffer) error {
			w := tarfile.NewWriter(b)
			if err := w.WriteHeader(&tarfile.Header{Name: "a", Mode: 0o644, Size: 1}); err != nil {
				return err
			}
			_, err := w.Write([]byte("x"))
			return err
		},
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if got := Detect(b.Bytes()); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Every entry of the table that is fixed bytes alone wins or loses against
// something stronger, and none is cut off by a short file.
func TestTable(t *testing.T) {
	for _, e := range table {
		data := append(make([]byte, e.at), e.lit...)
		for n := range data {
			Detect(data[:n])
		}
		if e.also == nil && Detect(data) == "" {
			t.Errorf("%s is not found in its own bytes", e.mime)
		}
	}
}

func FuzzDetect(f *testing.F) {
	for _, e := range table {
		f.Add(append(make([]byte, e.at), e.lit...))
	}
	f.Add([]byte("<!-- --><?xml ?>?><!-- --><html>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		Detect(b[:min(len(b), BOF)])
	})
}

// The worst that markup can be made to cost is bounded.
func BenchmarkDetect(b *testing.B) {
	for name, data := range map[string][]byte{
		"png":   append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 4088)...),
		"html":  []byte("<!DOCTYPE html>" + strings.Repeat("<p>text</p>", 370)),
		"worst": []byte("<!--<?xml " + strings.Repeat("?>-->", 815)),
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				Detect(data)
			}
		})
	}
}
