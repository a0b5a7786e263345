module github.com/picket-nsm/picket/internal/oracle

go 1.26.0

require (
	github.com/miekg/dns v1.1.73
	github.com/picket-nsm/picket v0.0.0
	github.com/quic-go/quic-go v0.59.0
)

require (
	github.com/minio/highwayhash v1.0.4 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/picket-nsm/picket => ../..
