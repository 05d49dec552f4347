// Sends Go's ClientHello: hello ADDRESS NAME.
package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"runtime"
)

func main() {
	if os.Args[1] == "version" {
		fmt.Println(runtime.Version())
		return
	}
	config := &tls.Config{ServerName: os.Args[2], NextProtos: []string{"h2", "http/1.1"}}
	if conn, err := tls.Dial("tcp", os.Args[1], config); err == nil {
		conn.Close()
	}
}
