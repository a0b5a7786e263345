package chromium

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Page is one tab.
type Page struct {
	t       testing.TB
	b       *Browser
	session string

	mu       sync.Mutex
	trouble  []string // console errors and warnings, exceptions, what a policy refused
	requests []string // URLs
}

// Page opens an empty tab of some size.
func (b *Browser) Page(width, height int) *Page {
	b.t.Helper()
	p := &Page{t: b.t, b: b}
	var target struct{ TargetID string }
	if err := b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		b.t.Fatal(err)
	}
	var session struct{ SessionID string }
	if err := b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session); err != nil {
		b.t.Fatal(err)
	}
	p.session = session.SessionID
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Network", "Log"} {
		p.must(domain+".enable", nil, nil)
	}
	p.Size(width, height)
	return p
}

// Size sets how many pixels the page has.
func (p *Page) Size(width, height int) {
	p.t.Helper()
	p.must("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// Prefer sets a media feature, as prefers-color-scheme to dark.
func (p *Page) Prefer(feature, value string) {
	p.t.Helper()
	p.must("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": feature, "value": value}}}, nil)
}

func (p *Page) must(method string, params, out any) {
	p.t.Helper()
	if err := p.b.call(p.session, method, params, out); err != nil {
		p.t.Fatal(err)
	}
}

// event notes what the tests ask for later. It runs on the reader's goroutine.
func (p *Page) event(method string, params json.RawMessage) {
	var e struct {
		Type    string
		Request struct{ URL string }
		URL     string
		Args    []struct {
			Value       any
			Description string
		}
		Entry struct {
			Level, Source, Text, URL string
		}
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if json.Unmarshal(params, &e) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch method {
	case "Network.requestWillBeSent":
		p.requests = append(p.requests, e.Request.URL)
	case "Network.webSocketCreated":
		p.requests = append(p.requests, e.URL)
	case "Runtime.exceptionThrown":
		p.trouble = append(p.trouble, e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case "Runtime.consoleAPICalled":
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			text := e.Type + ":"
			for _, a := range e.Args {
				text += fmt.Sprint(" ", a.Value, a.Description)
			}
			p.trouble = append(p.trouble, text)
		}
	case "Log.entryAdded":
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			p.trouble = append(p.trouble, e.Entry.Source+": "+e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

// Trouble returns what the console shows, and forgets it.
func (p *Page) Trouble() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.trouble
	p.trouble = nil
	return out
}

// Requests returns the URLs that the page has asked for.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Open goes to a URL.
func (p *Page) Open(url string) {
	p.t.Helper()
	var r struct{ ErrorText string }
	p.must("Page.navigate", map[string]any{"url": url}, &r)
	if r.ErrorText != "" {
		p.t.Fatalf("open %s: %s", url, r.ErrorText)
	}
}

// Eval runs a script, an expression that may be a promise, and puts its value
// into out, which may be nil.
func (p *Page) Eval(script string, out any) error {
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := p.b.call(p.session, "Runtime.evaluate", map[string]any{
		"expression": script, "returnByValue": true, "awaitPromise": true, "userGesture": true,
	}, &r); err != nil {
		return err
	}
	if x := r.ExceptionDetails; x != nil {
		return fmt.Errorf("script: %s %s", x.Text, x.Exception.Description)
	}
	if out == nil || len(r.Result.Value) == 0 {
		return nil
	}
	return json.Unmarshal(r.Result.Value, out)
}

// Must is Eval for what may not fail.
func (p *Page) Must(script string, out any) {
	p.t.Helper()
	if err := p.Eval(script, out); err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
}

// Text is the value of an expression that is a string.
func (p *Page) Text(script string) string {
	p.t.Helper()
	var s string
	p.Must("String("+script+")", &s)
	return s
}

// Wait waits until an expression is true.
func (p *Page) Wait(what, script string) {
	p.t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var ok bool
		if err = p.Eval("Boolean("+script+")", &ok); err == nil && ok {
			return
		}
	}
	_ = p.Eval("document.body.innerText.slice(0, 3000)", &what)
	p.t.Fatalf("never: %s; %v; console: %q; page: %s", script, err, p.Trouble(), what)
}

// keys are those that have a name and no text.
func keys() map[string]int {
	return map[string]int{
		"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36,
		"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
	}
}

// Press presses and lets go a key by its name, as Tab, Shift+Tab or ArrowDown.
func (p *Page) Press(key string) {
	p.t.Helper()
	mod := 0
	if k, ok := strings.CutPrefix(key, "Shift+"); ok {
		mod, key = 8, k
	}
	code, ok := keys()[key]
	if !ok {
		code = int(strings.ToUpper(key)[0])
	}
	e := map[string]any{"type": "rawKeyDown", "key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": mod}
	switch {
	case key == "Enter":
		e["type"], e["text"] = "keyDown", "\r"
	case len(key) == 1:
		e["type"], e["text"] = "keyDown", key
	}
	p.must("Input.dispatchKeyEvent", e, nil)
	p.must("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": mod}, nil)
}

// Type enters text where the focus is.
func (p *Page) Type(text string) {
	p.t.Helper()
	p.must("Input.insertText", map[string]any{"text": text}, nil)
}

// Click presses the mouse in the middle of the first element of a selector.
func (p *Page) Click(selector string) {
	p.t.Helper()
	var at struct{ X, Y float64 }
	q, _ := json.Marshal(selector)
	p.Must(`(()=>{const e=document.querySelector(`+string(q)+`);e.scrollIntoView({block:"center"});const r=e.getBoundingClientRect();return {X:r.x+r.width/2,Y:r.y+r.height/2}})()`, &at)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		p.must("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
}

// Picture takes a picture of what is in the window, as PNG of 256 colours: what a
// page shows has few, and the file is a third of what it would be.
func (p *Page) Picture(file string) {
	p.t.Helper()
	var r struct{ Data string }
	p.must("Page.captureScreenshot", map[string]any{"format": "png"}, &r)
	text, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	full, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		p.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few(full)); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// few turns a picture into one of the 256 colours that it has most of.
func few(m image.Image) *image.Paletted {
	b := m.Bounds()
	count := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA {
		c := color.RGBAModel.Convert(m.At(x, y)).(color.RGBA)
		return color.RGBA{c.R | 3, c.G | 3, c.B | 3, 255}
	}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		if d := count[b] - count[a]; d != 0 {
			return d
		}
		return bytes.Compare([]byte{a.R, a.G, a.B}, []byte{b.R, b.G, b.B})
	})
	palette := color.Palette{}
	for _, c := range all[:min(256, len(all))] {
		palette = append(palette, c)
	}
	out := image.NewPaletted(b, palette)
	index := map[color.RGBA]uint8{}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := at(x, y)
			i, ok := index[c]
			if !ok {
				i = uint8(palette.Index(c))
				index[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	return out
}
