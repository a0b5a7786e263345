package record

// Cursor reads the rows of an encoded batch without building values.
type Cursor struct{}
