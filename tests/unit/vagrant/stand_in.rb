# frozen_string_literal: true

# Stands in for Vagrant: evaluates the Vagrantfile named by the argument, and prints what it asked for as JSON.
# Every block runs, also those of providers, as if each provider were in use.

require "json"

# Takes any call and any assignment, and remembers it.
class Recorder
  def initialize
    @said = {}
  end

  attr_reader :said

  def method_missing(name, *arguments, **options, &block)
    word = name.to_s
    return @said[word.chomp("=")] = arguments.first if word.end_with?("=")

    return @said[word] ||= Recorder.new if arguments.empty? && options.empty? && block.nil?

    call = { "arguments" => arguments, "options" => options }
    if block
      yielded = Array.new(block.arity) { Recorder.new }
      block.call(*yielded)
      call["block"] = yielded
    end
    (@said[word] ||= []) << call
  end

  def respond_to_missing?(*)
    true
  end

  def to_json(*arguments)
    @said.to_json(*arguments)
  end
end

# The one entry that a Vagrantfile has.
module Vagrant
  CONFIG = Recorder.new

  def self.configure(version)
    raise "configuration version #{version}" unless version == "2"

    yield CONFIG
  end
end

load File.expand_path(ARGV.fetch(0))
puts JSON.generate(Vagrant::CONFIG.said)
