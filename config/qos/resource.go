package qos

import (
	"fmt"
	"strconv"

	"ngfw.sh/internal/fault"
)

// DecodeClass reads a class by itself, as a request's body: paths are its own.
// Whether it fits the others, Validate says.
func DecodeClass(data []byte) (Class, error) {
	var c Class
	if err := strict(data, &c); err != nil {
		return c, malformed(err)
	}
	return c, CheckClass(c)
}

// DecodeCakeOptions reads options by themselves; Validate judges them.
func DecodeCakeOptions(data []byte) (CakeOptions, error) {
	var o CakeOptions
	if err := strict(data, &o); err != nil {
		return o, malformed(err)
	}
	return o, nil
}

// CheckRates says whether the guarantees of the classes fit the rates, as one who
// changes the rates is told it.
func (d Document) CheckRates() error {
	sum := 0.0
	for _, c := range d.Classes {
		if c.GuaranteedMbps != nil {
			sum += *c.GuaranteedMbps
		}
	}
	var wrong []fault.Field
	for _, link := range []struct {
		field string
		mbps  float64
	}{{"upload_mbps", d.UploadMbps}, {"download_mbps", d.DownloadMbps}} {
		if link.mbps > 0 && sum > link.mbps*(1+1e-9) {
			wrong = append(wrong, fault.Field{Path: link.field, Message: fmt.Sprintf(
				"is %s Mbit/s, and the classes are guaranteed %s Mbit/s together: lower guarantees first", figure(link.mbps), figure(sum))})
		}
	}
	if len(wrong) > 0 {
		return fault.InvalidFields(wrong...)
	}
	return nil
}

// figure is a rate without what adding up has left in its last digits.
func figure(mbps float64) string {
	f, _ := strconv.ParseFloat(strconv.FormatFloat(mbps, 'f', 6, 64), 64) // was formatted as one
	return strconv.FormatFloat(f, 'f', -1, 64)
}
