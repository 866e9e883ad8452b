import Terminal

@main enum TL {
  static func main() {
    table.main(explain: explain)
  }
}
