// The search runs in a worker, and browsers start none from a file. So where the site is opened as files a hidden
// frame stands in for it. The theme's own stand-in is fetched from a content network; this site fetches nothing.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.waiting = []
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.inside = frame.contentWindow
      addEventListener("message", event => {
        if (event.source !== this.inside) return
        const message = new MessageEvent("message", { data: event.data })
        this.dispatchEvent(message)
        if (this.onmessage) this.onmessage(message)
      })
      const page = this.inside.document
      page.open()
      page.write(`<script>
        postMessage = message => parent.dispatchEvent(new MessageEvent("message", { data: message, source: window }))
        importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise((done, failed) => {
          const script = document.createElement("script")
          Object.assign(script, { src: url, onload: done, onerror: failed })
          document.head.append(script)
        })), Promise.resolve())
      <\/script><script src="${new URL(url, location)}"><\/script>`)
      page.close()
      frame.addEventListener("load", () => {
        this.waiting.forEach(message => this.deliver(message))
        this.waiting = null
      })
    }
    deliver(message) {
      this.inside.dispatchEvent(new MessageEvent("message", { data: message, source: window }))
    }
    postMessage(message) {
      if (this.waiting) this.waiting.push(message)
      else this.deliver(message)
    }
    terminate() {}
  }
}
