// The usual Go webhook, for bench/admission.ts: controller-runtime's server and handler, which append to a Pod the
// volumes, mounts and annotations that a file says. Its answers give the same Pod as nix-closure's.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/go-logr/logr"
)

// additions is what an annotated Pod gets.
type additions struct {
	Annotations map[string]string    `json:"annotations"`
	Volumes     []corev1.Volume      `json:"volumes"`
	Mounts      []corev1.VolumeMount `json:"mounts"`
}

type injector struct {
	decoder admission.Decoder
	add     additions
}

// Handle does as the mutating webhooks of controller-runtime's examples do.
func (i *injector) Handle(_ context.Context, request admission.Request) admission.Response {
	pod := &corev1.Pod{}
	if err := i.decoder.Decode(request, pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if pod.Annotations["nix.closure"] == "" {
		return admission.Allowed("")
	}
	for key, value := range i.add.Annotations {
		pod.Annotations[key] = value
	}
	pod.Spec.Volumes = append(pod.Spec.Volumes, i.add.Volumes...)
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for at := range containers {
			containers[at].VolumeMounts = append(containers[at].VolumeMounts, i.add.Mounts...)
		}
	}
	marshaled, err := json.Marshal(pod)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, marshaled)
}

func readAdditions(file string) (additions, error) {
	var add additions
	text, err := os.ReadFile(file)
	if err != nil {
		return add, err
	}
	return add, json.Unmarshal(text, &add)
}

func serve() error {
	port := flag.Int("port", 9443, "port of 127.0.0.1")
	certificate := flag.String("cert", "tls.pem", "certificate, PEM")
	key := flag.String("key", "tls.key", "its key in the same directory, PEM")
	file := flag.String("additions", "additions.json", "what annotated Pods get")
	flag.Parse()

	add, err := readAdditions(*file)
	if err != nil {
		return err
	}
	ctrl.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	server := webhook.NewServer(webhook.Options{
		Host:     "127.0.0.1",
		Port:     *port,
		CertDir:  filepath.Dir(*certificate),
		CertName: filepath.Base(*certificate),
		KeyName:  filepath.Base(*key),
	})
	handler := &injector{decoder: admission.NewDecoder(scheme), add: add}
	server.Register("/mutate", &webhook.Admission{Handler: handler})
	return server.Start(ctrl.SetupSignalHandler())
}

func main() {
	if err := serve(); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}
