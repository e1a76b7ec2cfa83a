// Sends refused requests and good ones in turn over one connection of net/http's.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
)

type request struct {
	Name, Method, Path string
	Status, Length     int
	Headers            map[string]string
}

var connections int

func send(one request) int {
	made, err := http.NewRequest(one.Method, os.Getenv("BASE")+one.Path, bytes.NewReader(bytes.Repeat([]byte(" "), one.Length)))
	if err != nil {
		panic(err)
	}
	for name, value := range one.Headers {
		made.Header.Set(name, value)
	}
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		if !got.Reused {
			connections++
		}
	}}
	answer, err := http.DefaultClient.Do(made.WithContext(httptrace.WithClientTrace(made.Context(), trace)))
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		panic(err)
	}
	return answer.StatusCode
}

func main() {
	var cases []request
	if err := json.Unmarshal([]byte(os.Getenv("CASES")), &cases); err != nil {
		panic(err)
	}
	for _, one := range cases {
		if status := send(one); status != one.Status {
			panic(fmt.Sprintf("%s: %d", one.Name, status))
		}
		if status := send(request{Method: "GET", Path: "/healthz"}); status != 200 {
			panic(fmt.Sprintf("after %s: %d", one.Name, status))
		}
	}
	if connections != 1 {
		panic(fmt.Sprintf("%d connections", connections))
	}
	fmt.Println("net/http")
}
